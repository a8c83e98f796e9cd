"""Partitions and old queue rows, as operation runs."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django_q.models import OrmQ, Task

from governance.kernel import clock
from governance.kernel.identifiers import uuid7_floor
from governance.models import OperationRun
from governance.operations import ledger, slices
from governance.operations.slices import SliceHandler
from governance.states import Outcome
from orbit import queue
from orbit.housekeeping import ensure_partitions, prune_queue


def do(type_: str, run_slice: SliceHandler) -> OperationRun:
    """Do a whole run, without its pauses."""
    run, _ = ledger.ensure_workspace_run_with_identity(type_, {}, initiator="orbit")
    for _ in range(9):
        OperationRun.objects.filter(pk=run.pk, finished_at=None).update(next_due_at=Now())
        slices.do_next(run.pk, {type_: run_slice}, wake=lambda *_: None)
    run.refresh_from_db()
    return run


@pytest.mark.django_db
def test_old_results_and_quarantined_rows_go_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_queue, "LIMIT", 2)
    for number in range(5):
        Task.objects.create(
            id=f"{number:032}",
            name=str(number),
            func="f",
            started=Now() - timedelta(days=8),
            stopped=Now() - timedelta(days=8),
            success=False,
        )
    for days in (95, 1):
        OrmQ.objects.create(
            key=queue.BAD, payload=str(days), lock=Now() + timedelta(days=36525 - days)
        )
    queue.wake()
    old, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")
    ledger.complete(old, Outcome.SUCCEEDED, {}, progress={})
    long_ago = clock.read() - timedelta(days=200)
    OperationRun.objects.update(id=uuid7_floor(long_ago), finished_at=long_ago)
    run = do(prune_queue.TYPE, prune_queue.run_slice)
    assert run.outcome == "succeeded"
    assert run.summary_counts == {"total": 7, "processed": 7, "deleted": 7}
    assert (run.progress["tables"]["queue_results"], Task.objects.count()) == (5, 0)
    assert set(OrmQ.objects.values_list("key", flat=True)) == {queue.BAD, queue.WAKE}
    assert OrmQ.objects.get(key=queue.BAD).payload == "1"


@pytest.mark.django_db
def test_partitions_are_checked_and_a_full_set_succeeds() -> None:
    run = do(ensure_partitions.TYPE, ensure_partitions.run_slice)
    assert (run.outcome, run.summary_counts["failed"]) == ("succeeded", 0)
    assert run.summary_counts["succeeded"] == run.summary_counts["total"] > 0
