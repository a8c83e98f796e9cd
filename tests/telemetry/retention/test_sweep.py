"""The nightly prune is an operation run: in slices, with progress, cancelled like any other."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from governance.access import actors
from governance.models import OperationRun
from governance.operations import ledger, slices
from governance.operations.cancel import cancel
from orbit import tasks
from telemetry.retention import archive, prune, sweep
from telemetry.retention.sweep import Sweep
from tests.support.old_days import archived, days_ago, ingest, stored
from tests.support.telemetry import rows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def archiving(settings: Any) -> None:
    settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED = True


def start() -> UUID:
    return ledger.ensure_workspace_run_with_identity(sweep.TYPE, {}, initiator="orbit")[0].pk


def do_slices(run: UUID, most: int = 50) -> OperationRun:
    """Do slices as the queue does, without their pauses."""
    due: list[datetime] = []
    for _ in range(most):
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE governance_operationrun SET next_due_at = now() WHERE finished_at IS NULL"
            )
        slices.do_next(run, tasks.handlers(), wake=lambda run, at: due.append(at))
        if OperationRun.objects.get(pk=run).status == "completed":
            break
    return OperationRun.objects.get(pk=run)


def test_a_run_drops_all_days_that_are_due_and_counts_them() -> None:
    old = [days_ago(40), days_ago(50)]
    for day in old:
        ingest(day, 3)
    run = do_slices(start())
    assert (run.status, run.outcome) == ("completed", "succeeded")
    assert run.summary_counts == {
        "total": 2, "processed": 2, "succeeded": 2, "failed": 0, "skipped": 0, "deleted": 0,
    }  # fmt: skip
    assert [(archived(day), stored(day)) for day in old] == [({None: 3}, 0)] * 2


def test_a_run_with_nothing_to_do_is_skipped() -> None:
    assert do_slices(start()).outcome == "skipped"


def test_a_run_is_cancelled_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SLICE_SECONDS", 0.0)
    old = days_ago(40)
    ingest(old, 3)
    run_id = start()
    do_slices(run_id, 2)
    cancel(run_id, actor=actors.SYSTEM, reason="not tonight")
    assert (do_slices(run_id).outcome, stored(old)) == ("cancelled", 3)
    assert Sweep().due() == [old]


def test_a_day_that_cannot_be_dropped_is_named_and_stops_no_other() -> None:
    back, old = days_ago(50), days_ago(40)
    for day in (back, old):
        ingest(day, 2)
    done = Sweep()
    while done.advance():
        pass
    ingest(young := days_ago(35), 2)
    rows(
        "INSERT INTO telemetry_telemetryevent (id, occurred_at, name)"
        f" VALUES (gen_random_uuid(), '{back} 01:00Z', 'back') RETURNING 1"
    )
    run = do_slices(start())
    assert (run.outcome, stored(back), stored(young)) == ("partially_succeeded", 1, 0)
    assert run.progress["note"] == f"{back}: it was dropped before and holds events again"


def test_a_day_that_changes_all_the_time_is_left_for_tomorrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, next_ = days_ago(50), days_ago(40)
    ingest(old, 2)
    ingest(next_, 2)
    compare = archive.compare
    second = iter(range(1, 60))

    def compare_late(day: Any) -> Any:
        if day == old:
            ingest(old, 1, second=next(second))
        return compare(day)

    monkeypatch.setattr(archive, "compare", compare_late)
    done = Sweep()
    while done.advance():
        pass
    assert done.left == {str(old): sweep.KEEPS_CHANGING}
    assert (stored(old), stored(next_)) == (7, 0)


def test_what_others_hold_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    old = days_ago(40)
    ingest(old, 2)
    step = prune.step
    busy = [prune.Step(prune.State.BUSY, "a dump")] * 2
    monkeypatch.setattr(prune, "step", lambda *args: busy.pop() if busy else step(*args))
    run_id = start()
    waiting = do_slices(run_id, 1)
    assert (waiting.status, waiting.progress["note"]) == ("running", f"{old}: a dump")
    run = do_slices(run_id)
    assert (run.outcome, stored(old)) == ("succeeded", 0)
