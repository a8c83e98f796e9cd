"""S17, S19, S20, S22: every page of the bad night, as each kind of eye and browser sees it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.e2e import walk
from tests.e2e.conftest import NightSite
from tests.support.browser import TOO_WIDE, chromium

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
# The walk is split, so that a part ends in time on a busy machine.
PARTS = 8
WINDOWS = [(width, dark) for width in (1280, 390, 320) for dark in (False, True)]
# Text that a reader can't get at: cut by its box, and nothing scrolls it.
CUT = """() => [...document.querySelectorAll("main *, #content *, header *, nav *")].filter(e =>
    e.childElementCount === 0 && e.textContent.trim() && e.scrollWidth > e.clientWidth + 1
    && getComputedStyle(e).overflowX === "hidden"
    && getComputedStyle(e).textOverflow !== "ellipsis"
    && !e.closest("thead, .visually-hidden, .sr, .hidden")
    && e.clientWidth > 1
).map(e => e.outerHTML.slice(0, 120))"""


def _open_panels(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")


def _each(site: NightSite, page: Page, faults: list[str], paths: list[str]) -> Iterator[str]:
    """Open each page; one that isn't there is a fault."""
    for path in paths:
        answer = page.goto(site.address + path)
        if answer is None or answer.status != 200:
            faults.append(f"{path}: {answer and answer.status}")
        else:
            yield path


@pytest.mark.parametrize("part", range(PARTS))
def test_s19_no_page_has_an_axe_violation_or_is_wider_than_the_screen(
    shared_night: NightSite, part: int
) -> None:
    paths, faults = walk.paths(shared_night)[part::PARTS], list[str]()
    with chromium(shared_night.address) as browser:
        console = browser.visit("adm")
        for _ in _each(shared_night, console.page, faults, paths):
            faults += console.faults(WINDOWS, panels=True)
    assert faults == []


def test_s17_hostile_text_is_only_text_on_every_page(shared_night: NightSite) -> None:
    paths, faults = walk.paths(shared_night), list[str]()
    with chromium(shared_night.address) as browser:
        console = browser.visit("adm")
        for path in _each(shared_night, console.page, faults, paths):
            _open_panels(console.page)
            if console.page.evaluate("window.pwned"):
                faults.append(f"{path}: ran a script")
            if console.page.locator("img[src='x'], img[src$='/x']").count():
                faults.append(f"{path}: has an image of an outsider")
    assert faults == []


def test_s20_pages_reflow_with_large_text_and_have_no_motion(shared_night: NightSite) -> None:
    paths, faults = walk.paths(shared_night), list[str]()
    with chromium(shared_night.address) as browser:
        console = browser.visit("adm", width=640, reduced_motion="reduce", forced_colors="active")
        for path in _each(shared_night, console.page, faults, paths):
            # Twice the text, as a reader's browser is set to.
            console.page.evaluate("document.documentElement.style.fontSize = '200%'")
            if console.page.evaluate(TOO_WIDE):
                faults.append(f"{path}: wider than the screen")
            faults += [f"{path}: cut: {text}" for text in console.page.evaluate(CUT)]
            if running := console.page.evaluate(
                "document.getAnimations().filter(a => a.playState === 'running').length"
            ):
                faults.append(f"{path}: {running} animations")
    assert faults == []


def test_s22_every_page_opens_without_scripts(shared_night: NightSite) -> None:
    paths, faults = walk.paths(shared_night), list[str]()
    with chromium(shared_night.address) as browser:
        console = browser.visit("adm", scripts=False)
        for path in _each(shared_night, console.page, faults, paths):
            if console.page.get_by_role("heading", level=1).count() != 1:
                faults.append(f"{path}: not one title")
    assert faults == []
