"""Halt in a real browser: the dialog with scripts, the page without, the banner in another tab."""

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Site
from tests.e2e.test_console import _violations
from tests.support.browser import visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
#: Widths, and whether they are dark.
WINDOWS = [(1280, False), (1280, True), (390, False), (320, False)]


@pytest.mark.parametrize("scripts", [True, False])
def test_a_namespace_is_halted_from_the_page_that_one_is_on_and_resumed_from_its_banner(
    site: Site, scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.enter("ann")
        page = console.open("/admin/orbit/cyclerun/?namespace=eu")
        page.get_by_role("button", name="Halt", exact=True).click()
        page.get_by_role("textbox", name="Reason").fill("a flood")
        page.get_by_role("button", name="Halt namespace").click()
        banner = (
            page.get_by_role("complementary", name="System state")
            .get_by_role("status")
            .filter(has_text="eu is halted")
        )
        expect(banner).to_contain_text("by ann: “a flood”")
        banner.get_by_role("link", name="Resume").click()
        page.get_by_role("textbox", name="Reason").fill("it is dry")
        page.get_by_role("button", name="Resume").click()
        expect(banner).to_have_count(0)


def test_the_dialog_asks_which_namespace_takes_escape_and_can_be_left(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/")
        page.get_by_role("button", name="Halt", exact=True).click()
        expect(page.get_by_role("combobox", name="Namespace")).to_be_focused()
        before = len(console.problems)
        assert _violations(page) == []
        del console.problems[before:]
        page.get_by_role("button", name="Back").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_role("button", name="Halt", exact=True).click()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_page_that_stays_open_shows_the_banner_by_itself(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/")
        other = page.context.new_page()
        other.goto(f"{site.address}/admin/pause/")
        other.get_by_role("textbox", name="Reason").fill("a fire")
        other.get_by_role("button", name="Pause everything").click()
        expect(other.get_by_role("button", name="End pause")).to_be_visible()
        page.bring_to_front()
        expect(page.get_by_role("status").filter(has_text="Everything is paused")).to_contain_text(
            "by ann: “a fire”"
        )
        other.get_by_role("textbox", name="Reason").fill("it is out")
        other.get_by_role("button", name="End pause").click()
        expect(page.get_by_role("status").filter(has_text="Everything is paused")).to_have_count(0)


@pytest.mark.timeout(600)  # the checker takes long on a busy machine
def test_the_pages_of_stops_are_accessible_and_no_wider_than_the_screen(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/admin/halt/?namespace=eu")
        page.get_by_role("textbox", name="Reason").fill("a flood")
        page.get_by_role("button", name="Halt namespace").click()
        url = page.url.removeprefix(site.address)
        pages = [url.replace("change", page_name) for page_name in ("resume", "drain")]
        for path in (
            url,
            "/admin/halt/",
            "/admin/pause/",
            "/admin/governance/namespace/",
            *pages,
        ):
            page = console.open(path)
            assert console.faults(WINDOWS) == []
