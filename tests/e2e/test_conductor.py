"""The conductor in a real browser: from the list to the child that failed, in squares."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from playwright.sync_api import expect

from governance.kernel import clock
from orbit.models import ConductorRun, ConductorTask
from tests.e2e.conftest import Site
from tests.e2e.test_console import PASSWORD, _violations
from tests.support import conductor_rows
from tests.support.browser import visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def run(site: Site) -> ConductorRun:
    """A run with 10,000 children of one root, of which some failed, and a task with a lease."""
    run = conductor_rows.run(name="nightly render")
    conductor_rows.parent(
        run,
        2,
        name="frames",
        children=10_000,
        failed=(4321, 4333),
        retrying=(7000,),
        pending=1200,
    )
    conductor_rows.task(
        run,
        3,
        index=2,
        name="poster",
        state="RUNNING",
        attempt=1,
        worker="gpu-box-1",
        lease_token=uuid4(),
        lease_expires_at=clock.read() + timedelta(hours=1),
    )
    ConductorTask.objects.filter(name="frames#1100").update(state="RUNNING")
    ConductorTask.objects.filter(name="frames#1150").update(state="CANCELLED")
    connection.close()
    return run


@pytest.mark.parametrize("scripts", [True, False])
def test_two_clicks_lead_from_the_list_to_the_child_that_failed_and_its_error(
    site: Site, run: ConductorRun, scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.login("ann", PASSWORD)
        page = console.open("/admin/orbit/conductorrun/")
        page.get_by_role("link", name="nightly render").click()
        expect(page.locator("p#verdict")).to_contain_text("frames#4321 says: child 4321 broke.")
        squares = page.get_by_role("list", name="Children by number")
        expect(squares.get_by_role("listitem")).to_have_count(5)
        expect(squares.get_by_role("listitem").nth(2)).to_contain_text("2 failed")
        failed = page.get_by_role("region", name="Failed tasks")
        failed.get_by_role("link", name="frames#4321").click()
        expect(page.locator("p#verdict")).to_contain_text("child 4321 broke")
        page.get_by_role("main").get_by_role("link", name="frames", exact=True).last.click()
        page.get_by_role("textbox", name="Number").fill("9001")
        page.get_by_role("button", name="Show from here").click()
        expect(page.get_by_role("link", name="frames#9001")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)]
)
def test_every_page_is_accessible_and_no_wider_than_the_screen(
    site: Site, run: ConductorRun, width: int, dark: bool
) -> None:
    child = ConductorTask.objects.get(name="frames#4321").pk
    root = ConductorTask.objects.get(name="frames").pk
    connection.close()
    with visit(site.address, width=width, dark=dark) as console:
        console.login("ann", PASSWORD)
        for path in (
            "/admin/orbit/conductorrun/",
            f"/admin/orbit/conductorrun/{run.pk}/change/",
            f"/admin/orbit/conductorrun/{run.pk}/cancel/",
            "/admin/orbit/conductortask/",
            f"/admin/orbit/conductortask/{root}/change/?at=4301",
            f"/admin/orbit/conductortask/{child}/change/",
        ):
            page = console.open(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            before = len(console.problems)
            assert _violations(page) == []
            # The checker adds styles to the page, which the policy rightly refuses.
            del console.problems[before:]
