"""The conductor and the operations in a real browser, from the list to the child that failed."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from playwright.sync_api import expect

from governance.kernel import clock
from governance.models import OperationRun
from governance.operations import ledger, periodic
from governance.states import Outcome
from orbit.housekeeping.work import WORK
from orbit.models import ConductorRun, ConductorTask
from tests.e2e.conftest import Site
from tests.support import conductor_rows
from tests.support.browser import visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
#: Widths, and whether they are dark.
WINDOWS = [(1280, False), (1280, True), (390, False), (390, True)]

HOSTILE = "<img src=x onerror=alert(1)>"


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
        name=f"poster {HOSTILE}",
        state="RUNNING",
        attempt=1,
        worker="gpu-box-1",
        lease_token=uuid4(),
        lease_expires_at=clock.read() + timedelta(hours=1),
    )
    ConductorTask.objects.filter(name="frames#1100").update(state="RUNNING")
    ConductorTask.objects.filter(name="frames#1150").update(state="CANCELLED")
    ConductorTask.objects.filter(name="frames#4333").update(error=HOSTILE * 400)
    connection.close()
    return run


@pytest.mark.parametrize("scripts", [True, False])
def test_two_clicks_lead_from_the_list_to_the_child_that_failed_and_its_error(
    site: Site, run: ConductorRun, scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.enter("ann")
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


def meanwhile(rows: QuerySet[Any], **values: Any) -> None:
    """Change rows while a browser is open."""

    def change() -> None:
        rows.update(**values)
        connection.close()

    with ThreadPoolExecutor(1) as other:  # the browser has a loop of its own in this one
        other.submit(change).result()


def start_operations() -> None:
    """Start all periodic work; one run has an outcome, one is half done."""
    runs = periodic.start_due(WORK, wake=lambda run: None)
    first, second = OperationRun.objects.filter(pk__in=runs).order_by("pk")[:2]
    progress = {"total": 1_204_331, "processed": 612_000}
    ledger.complete(first, Outcome.PARTIALLY_SUCCEEDED, {"failed": 2}, progress=progress)
    ledger.save_progress(second, progress, wait=0)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_task_is_released_from_its_worker_and_a_run_is_cancelled(
    site: Site, run: ConductorRun, scripts: bool
) -> None:
    with visit(site.address, scripts=scripts) as console:
        console.enter("ann")
        page = console.open(f"/admin/orbit/conductorrun/{run.pk}/change/")
        held = page.get_by_role("region", name="In the hands of workers")
        held.get_by_role("link", name="poster").click()
        page.get_by_role("link", name="Release lease").click()
        page.get_by_role("textbox", name="Reason").fill("the box burns")
        page.get_by_role("button", name="Release lease").click()
        expect(page.get_by_role("main")).to_contain_text("was taken from gpu-box-1")
        expect(page.locator("p#verdict")).to_contain_text("waits for another worker")
        page.get_by_role("main").get_by_role("link", name="nightly render").first.click()
        page.get_by_role("link", name="Cancel", exact=True).click()
        page.get_by_role("textbox", name="Reason").fill("wrong input")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("p#verdict")).to_contain_text("it is being cancelled")


def test_an_open_page_shows_what_changed_until_the_run_has_ended(
    site: Site, run: ConductorRun
) -> None:
    with visit(site.address) as console:
        console.enter("ann")
        page = console.open(f"/admin/orbit/conductorrun/{run.pk}/change/")
        expect(page.get_by_role("checkbox", name="Refresh this page")).to_be_checked()
        meanwhile(ConductorTask.objects.filter(name="frames#4321"), error="read again")
        expect(page.locator("p#verdict")).to_contain_text("frames#4321 says: read again")
        meanwhile(ConductorRun.objects.filter(pk=run.pk), state="FAILED", finished_at=Now())
        expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
        expect(page.get_by_role("checkbox", name="Refresh this page")).to_be_hidden()


def test_operations_are_found_in_the_menu_and_periodic_work_fits_the_screen(site: Site) -> None:
    start_operations()
    connection.close()
    with visit(site.address) as console:
        console.enter("adm")
        console.page.get_by_role("link", name=re.compile("^Operations( .* waiting)?$")).click()
        periodic_work = console.page.get_by_role("region", name="Periodic work")
        expect(periodic_work).to_contain_text("ops.reconcile_adapter_runs")
        assert periodic_work.evaluate("box => box.scrollWidth <= box.clientWidth")


@pytest.mark.timeout(600)  # the checker takes long on a busy machine
def test_every_page_is_accessible_and_no_wider_than_the_screen(
    site: Site, run: ConductorRun
) -> None:
    tasks = ConductorTask.objects
    child, hostile = (tasks.get(name=f"frames#{number}").pk for number in (4321, 4333))
    root, held = tasks.get(name="frames").pk, tasks.get(name__startswith="poster").pk
    start_operations()
    connection.close()
    with visit(site.address) as console:
        console.enter("ann")
        for path in (
            "/admin/orbit/conductorrun/",
            f"/admin/orbit/conductorrun/{run.pk}/change/",
            f"/admin/orbit/conductorrun/{run.pk}/cancel/",
            "/admin/orbit/conductortask/",
            f"/admin/orbit/conductortask/{root}/change/?at=4301",
            f"/admin/orbit/conductortask/{child}/change/",
            f"/admin/orbit/conductortask/{child}/retry/",
            f"/admin/orbit/conductortask/{hostile}/change/",
            f"/admin/orbit/conductortask/{held}/change/",
            f"/admin/orbit/conductortask/{held}/release/",
            "/admin/governance/operationrun/",
        ):
            page = console.open(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert console.faults(WINDOWS) == []
