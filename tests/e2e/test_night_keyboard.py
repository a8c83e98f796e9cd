"""S18: S1, S2, S4 and S6 without a mouse. The focus is always seen, and nothing traps it."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from orbit.models import Profile
from tests.e2e.conftest import NightSite
from tests.support.browser import chromium
from tests.support.pipeline import rows

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
#: More stops than any page of these has.
MOST = 250
# What is wrong with the focus: nothing, or a sentence.
LOOK = """() => {
    const e = document.activeElement;
    if (!e || e === document.body) return "";
    const name = e.outerHTML.slice(0, 90), box = e.getBoundingClientRect();
    const style = getComputedStyle(e);
    const drawn = [style, getComputedStyle(e.closest("label, td, li, form") ?? e)].some(
        s => (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none"
    );
    if (!drawn) return `no mark of the focus: ${name}`;
    const x = box.left + box.width / 2, y = box.top + Math.min(box.height / 2, 10);
    if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) return `outside the window: ${name}`;
    const top = document.elementFromPoint(x, y);
    if (top && !e.contains(top) && !top.contains(e) && !top.closest("label"))
        return `under ${top.outerHTML.slice(0, 60)}: ${name}`;
    return "";
}"""
IS_FOCUSED = "e => e === document.activeElement"


class Keyboard:
    """Moves by Tab; notes each stop whose focus can't be seen."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []

    def tab(self) -> None:
        self.page.keyboard.press("Tab")
        if fault := self.page.evaluate(LOOK):
            self.faults.append(f"{self.page.url}: {fault}")

    def go_to(self, target: Locator) -> None:
        """Press Tab until ``target`` has the focus."""
        expect(target).to_be_visible()
        for _ in range(MOST):
            if target.evaluate(IS_FOCUSED):
                return
            self.tab()
        pytest.fail(f"Tab doesn't reach {target}")

    def enter(self, target: Locator) -> None:
        self.go_to(target)
        self.page.keyboard.press("Enter")

    def type(self, target: Locator, text: str) -> None:
        self.go_to(target)
        self.page.keyboard.type(text)


def test_s18_s1_why_the_cycle_is_partial(night: NightSite) -> None:
    with chromium(night.address) as browser:
        page = browser.visit("ann").page
        keyboard = Keyboard(page)
        keyboard.enter(page.get_by_role("main").get_by_role("link", name=re.compile("daily-eu")))
        expect(page.locator("p#verdict")).to_contain_text("4 of 6")
        assert keyboard.faults == []


def test_s18_s2_halt(night: NightSite) -> None:
    with chromium(night.address) as browser:
        page = browser.visit("ann").page
        page.goto(f"{night.address}/admin/orbit/deadletterdispatch/?namespace=eu")
        keyboard = Keyboard(page)
        page.keyboard.press("h")
        expect(page.get_by_role("textbox", name="Reason")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("h")
        keyboard.type(page.get_by_role("textbox", name="Reason"), "receiver doubles orders")
        keyboard.enter(page.get_by_role("button", name="Halt namespace"))
        expect(page.get_by_role("complementary", name="System state")).to_contain_text(
            re.compile("by ann.*receiver doubles orders")
        )
        assert keyboard.faults == []


def test_s18_s4_requeue_a_group(night: NightSite) -> None:
    with chromium(night.address) as browser:
        page = browser.visit("ann").page
        page.goto(f"{night.address}/admin/orbit/deadletterdispatch/")
        keyboard, main = Keyboard(page), page.get_by_role("main")
        keyboard.enter(main.get_by_role("link", name=re.compile("aurora.*503")))
        keyboard.go_to(main.get_by_role("checkbox", name=re.compile("all", re.IGNORECASE)).first)
        page.keyboard.press("Space")
        # The buttons come before the list.
        button = main.get_by_role("button", name="Requeue").first
        for _ in range(MOST):
            if button.evaluate(IS_FOCUSED):
                break
            page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        keyboard.type(main.get_by_role("spinbutton", name="Number of letters"), "300")
        keyboard.type(main.get_by_role("textbox", name="Reason"), "Aurora is back")
        keyboard.enter(main.get_by_role("button", name="Requeue"))
        expect(main).to_contain_text("dlq.bulk_requeue")
        assert keyboard.faults == []
    assert rows("SELECT 1 FROM governance_operationrun WHERE type = 'dlq.bulk_requeue'")


def test_s18_s6_approve(night: NightSite) -> None:
    before = Profile.objects.get(profile_id="daily").revision
    with chromium(night.address) as browser:
        page = browser.visit("rae").page
        keyboard, main = Keyboard(page), page.get_by_role("main")
        keyboard.enter(main.get_by_role("link", name=re.compile("Retry tier 3")))
        keyboard.type(main.get_by_role("textbox", name="Reason"), "the backtest convinces me")
        keyboard.enter(main.get_by_role("button", name="Approve"))
        expect(page.locator("body")).to_contain_text(re.compile("approved", re.IGNORECASE))
        assert keyboard.faults == []
    assert Profile.objects.get(profile_id="daily").revision == before + 1


@pytest.mark.parametrize(
    "path", ["", "orbit/cyclerun/", "orbit/deadletterdispatch/", "orbit/cyclerun/{partial}/change/"]
)
def test_s18_no_page_traps_the_focus(shared_night: NightSite, path: str) -> None:
    with chromium(shared_night.address) as browser:
        page = browser.visit("ann").page
        page.goto(f"{shared_night.address}/admin/{path.format(**vars(shared_night.night))}")
        keyboard = Keyboard(page)
        for _ in range(MOST + 150):
            keyboard.tab()
            if page.evaluate("document.activeElement === document.body"):
                break
        else:
            pytest.fail("Tab doesn't leave the page")
        assert keyboard.faults == []
