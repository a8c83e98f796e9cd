"""The console's pages of telemetry: bounded by time, drift as a plot."""

import pytest

from governance.models import OperationRun
from governance.operations import ledger
from governance.states import Outcome
from telemetry.models import TelemetryEvent
from telemetry.reconcile import run as reconcile
from tests.support.callers import console, create_user
from tests.support.telemetry_rows import create_one_of_each

pytestmark = pytest.mark.django_db
EVENTS = "/admin/telemetry/telemetryevent/"


def _drifted(count: int) -> None:
    run, _ = ledger.ensure_workspace_run_with_identity(reconcile.TYPE, {}, initiator="orbit")
    ledger.complete(run, Outcome.SUCCEEDED, {"total": count}, progress={"total": count})


def test_events_are_those_of_a_range_unless_one_run_session_or_task_is_named() -> None:
    create_one_of_each()
    event = TelemetryEvent.objects.get(session_id="one-session")
    browser = console(create_user("vic", "Viewer"))

    def listed(query: str = "") -> tuple[int, bool]:
        answer = browser.get(f"{EVENTS}?{query}")
        sql = str(answer.context["cl"].queryset.query)
        return answer.context["cl"].result_count, '"occurred_at" >=' in sql

    assert listed() == (1, True)
    assert listed("hours=1") == (1, True)
    # An unknown range is the usual one.
    assert listed("hours=999999999") == (1, True)
    assert listed("session_id__exact=one-session") == (1, False)
    assert listed(f"q={event.task_id}") == (1, False)
    page = browser.get(EVENTS).content.decode()
    assert '<a href="?hours=24" aria-current="page">24 hours</a>' in page


def test_drift_is_a_plot_of_the_last_reconciles_for_those_who_see_the_workspace() -> None:
    viewer, confined = create_user("vic", "Viewer"), create_user("bea", "Viewer", "b")
    path = "/admin/telemetry/projection/"
    page = console(viewer).get(path, follow=True).content.decode()
    assert "No reconcile has run yet" in page
    for count in (7, 0, 3):
        _drifted(count)
    assert [number for _, number in reconcile.drift_history()] == [7, 0, 3]
    assert [number for _, number in reconcile.drift_history(2)] == [0, 3]
    page = console(viewer).get(path, follow=True).content.decode()
    assert "Tasks that had drifted: 3 of 3 have data, last 3" in page
    assert OperationRun.objects.count() == 3
    assert "drift-title" not in console(confined).get(path, follow=True).content.decode()
