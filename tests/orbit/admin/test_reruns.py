"""Run again and Compare in the console."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import AuditTrailEntry, OperationRun
from orbit.models import CycleRun
from tests.support.callers import console, create_user
from tests.support.configuration import active_cycle
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Receiver, http


@pytest.fixture
def failed(committed: str, settings: Any) -> CycleRun:
    settings.ORBIT_MAX_DISPATCH_RETRIES = 0
    with Receiver(http("410 Gone")) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        configure_profiles()
        return run_cycle(start_cycle())


def test_the_page_shows_what_would_be_done_and_does_it_with_a_reason(
    failed: CycleRun, settings: Any
) -> None:
    browser = console(create_user())
    page = browser.get(f"/admin/orbit/cyclerun/{failed.pk}/change/").content.decode()
    assert f"/admin/orbit/cyclerun/{failed.pk}/run_again/" in page and ">Run again<" in page
    page = browser.get(f"/admin/orbit/cyclerun/{failed.pk}/run_again/").content.decode()
    assert "Tiers 1, 2, 3 taken over; no tier runs; 3 of 3 deliveries would be made." in page
    assert page.count("its dead letter is requeued") == 3
    assert (
        browser.post(f"/admin/orbit/cyclerun/{failed.pk}/run_again/", {"reason": " "}).status_code
        == 200
    )
    assert CycleRun.objects.count() == 1
    with Receiver(OK) as receiver:
        configure_endpoints(settings, **{"default-endpoint": receiver.url})
        answer = browser.post(
            f"/admin/orbit/cyclerun/{failed.pk}/run_again/", {"reason": "mended"}, follow=True
        ).content.decode()
        new = CycleRun.objects.get(rerun_of=failed)
        assert f"runs again as {new.pk}" in answer
        page = browser.get(f"/admin/orbit/cyclerun/{failed.pk}/run_again/").content.decode()
        assert "may still be made" in page
        run_cycle(new.pk)
    assert (new.trigger, new.triggered_by) == ("admin", "ann")
    assert AuditTrailEntry.objects.get(action="cycle.rerun").reason == "mended"
    cycles = "/admin/orbit/cyclerun/"
    for path in (
        f"{cycles}{failed.pk}/change/",
        f"{cycles}{new.pk}/change/",
        f"{cycles}{new.pk}/run_again/",
        f"{cycles}compare/?a={failed.pk}&b={new.pk}&all=1",
        f"{cycles}?rerun_of={failed.pk}",
    ):
        with CaptureQueriesContext(connection) as queries:
            answer = browser.get(path)
        assert (answer.status_code, len(queries) <= 30) == (200, True), (path, len(queries))
        assert str(new.pk) in answer.content.decode()


@pytest.mark.usefixtures("committed")
def test_a_selection_runs_again_as_an_operation_run(settings: Any) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/x"})
    cycle_ids = [str(cycle_id) for cycle_id in create_dead_letters(2)]
    browser = console(create_user())
    form = {"action": "run_again", "_selected_action": cycle_ids}
    assert all(
        cycle_id in browser.post("/admin/orbit/cyclerun/", form).content.decode()
        for cycle_id in cycle_ids
    )
    assert not OperationRun.objects.exists()
    answer = browser.post(
        "/admin/orbit/cyclerun/", {**form, "asked": "1", "reason": "mended"}, follow=True
    ).content.decode()
    run = OperationRun.objects.get()
    assert f"Operation run {run.pk} takes 2 cycles" in answer
    assert (run.type, run.reason, run.context["trigger"]) == ("ops.rerun", "mended", "admin")


def test_compare_shows_the_differences_and_needs_two_cycles(failed: CycleRun) -> None:
    browser = console(create_user("vic", "Viewer"))
    other = active_cycle("a")
    page = browser.get(f"/admin/orbit/cyclerun/compare/?a={failed.pk}").content.decode()
    assert str(failed.pk) in page and "<button" in page
    page = browser.get(
        f"/admin/orbit/cyclerun/compare/?a={failed.pk}&b={other.pk}"
    ).content.decode()
    assert "differs" in page and 'id="differences"' in page and ">same<" not in page
    assert (
        ">same<"
        in browser.get(
            f"/admin/orbit/cyclerun/compare/?a={failed.pk}&b={other.pk}&all=1"
        ).content.decode()
    )
    selection = browser.post(
        "/admin/orbit/cyclerun/",
        {"action": "compare", "_selected_action": [str(failed.pk), str(other.pk)]},
    )
    assert selection["Location"] == f"/admin/orbit/cyclerun/compare/?a={failed.pk}&b={other.pk}"
    response = browser.post(
        "/admin/orbit/cyclerun/",
        {"action": "compare", "_selected_action": [str(failed.pk)]},
        follow=True,
    )
    assert "Choose two cycles" in response.content.decode()
    assert browser.get("/admin/orbit/cyclerun/compare/?a=x&b=y").status_code == 200
    assert (
        console(create_user("bea", "Viewer", "b"))
        .get(f"/admin/orbit/cyclerun/compare/?a={failed.pk}&b={other.pk}")
        .status_code
        == 404
    )
    assert (
        "/run_again/"
        not in browser.get(f"/admin/orbit/cyclerun/{failed.pk}/change/").content.decode()
    )
    assert (
        browser.post(f"/admin/orbit/cyclerun/{failed.pk}/run_again/", {"reason": "x"}).status_code
        == 403
    )
