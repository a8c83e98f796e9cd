"""The API reference: Swagger UI under our policy, which asks before it changes something."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Site
from tests.support.browser import visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _try_out(page: Page, name: str) -> Locator:
    """Open the form of the operation ``name``."""
    operation = page.locator(f"#operations-{name}")
    operation.get_by_role("button").first.click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def _status(operation: Locator) -> Locator:
    """Return the status of the answer that came."""
    return operation.locator(".live-responses-table tbody .response-col_status")


def test_the_reference_shows_the_document_and_asks_no_other_host(site: Site) -> None:
    with visit(site.address) as console:
        page = console.open("/api/docs")
        expect(page.get_by_text("OAS 3.1")).to_be_visible()
        expect(page.get_by_text("/cycles/trigger", exact=True)).to_be_visible()


def test_a_session_executes_a_change_after_a_question(site: Site) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open("/api/docs")
        operation = _try_out(page, "cycles-get_cycles")
        operation.get_by_role("button", name="Execute").click()
        expect(_status(operation)).to_have_text("200")
        operation = _try_out(page, "governance-post_governance_namespaces_by_namespace_halt")
        operation.get_by_role("textbox", name="namespace").fill("eu")
        operation.locator("textarea.body-param__text").fill('{"reason": "from the reference"}')
        posts = []
        page.on("request", lambda request: request.method == "POST" and posts.append(request.url))
        operation.get_by_role("button", name="Execute").click()
        question = page.get_by_role("dialog", name="Send this request?")
        expect(question).to_contain_text("with your console session")
        question.get_by_role("button", name="Back").click()
        expect(question).to_be_hidden()
        assert posts == []
        operation.get_by_role("button", name="Execute").click()
        question.get_by_role("button", name="Send request").click()
        expect(_status(operation)).to_have_text(re.compile("20[02]"))
        assert len(posts) == 1


def test_a_token_executes_without_a_session(site: Site) -> None:
    with visit(site.address) as console:
        page = console.open("/api/docs")
        page.get_by_role("button", name="Authorize").click()
        page.get_by_role("textbox", name="Value").first.fill(site.token)
        page.get_by_role("button", name="Apply credentials").first.click()
        page.get_by_role("button", name="Close").first.click()
        operation = _try_out(page, "cycles-get_cycles")
        operation.get_by_role("button", name="Execute").click()
        expect(_status(operation)).to_have_text("200")


@pytest.mark.parametrize("dark", [False, True])
def test_the_reference_is_accessible_and_no_wider_than_a_phone(site: Site, dark: bool) -> None:
    with visit(site.address, dark=dark) as console:
        page = console.open("/api/docs")
        operation = _try_out(page, "cycles-post_cycles_trigger")
        listing = _try_out(page, "cycles-get_cycles")
        listing.get_by_role("button", name="Execute").click()
        expect(_status(listing)).to_have_text("401")
        console.expected(r"status of 401")
        assert console.violations() == []
        page.get_by_role("button", name="Authorize").click()
        assert console.violations() == []
        page.get_by_role("button", name="Close").first.click()
        operation.get_by_role("button", name="Execute").click()
        expect(page.get_by_role("dialog", name="Send this request?")).to_be_visible()
        assert console.violations() == []
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
