"""Old operation runs go with their items, in batches, oldest first."""

from datetime import timedelta
from uuid import UUID

import pytest

from governance.kernel import clock
from governance.kernel.identifiers import uuid7_floor
from governance.models import OperationRun, OperationRunItem
from governance.operations import ledger, periodic, retention
from governance.operations.periodic import Work
from governance.states import Every, Outcome

pytestmark = pytest.mark.django_db


def old_run(days: int, *, items: int = 0, finished: bool = True) -> UUID:
    """Make a run of ``days`` days ago."""
    then = clock.read() - timedelta(days=days)
    run = OperationRun.objects.create(
        id=UUID(int=uuid7_floor(then).int + OperationRun.objects.count()),
        type="t",
        identity_hash=f"{OperationRun.objects.count()}",
        status="completed" if finished else "running",
        outcome=Outcome.SUCCEEDED if finished else None,
        initiator="ann",
        created_at=then,
        finished_at=then if finished else None,
        next_due_at=None if finished else then,
    )
    for number in range(items):
        OperationRunItem.objects.create(run=run, object_id=UUID(int=number))
    return run.pk


def left() -> set[UUID]:
    return set(OperationRun.objects.values_list("pk", flat=True))


def test_old_runs_go_in_batches_with_their_items_and_the_others_stay() -> None:
    young, active = old_run(89, items=1), old_run(99, finished=False)
    old = [old_run(92, items=3), old_run(91), old_run(95)]
    assert retention.count_old(90) == 3
    while retention.delete_old(90, limit=2):
        assert left() >= {young, active}
    assert left() == {young, active}
    assert OperationRunItem.objects.count() == 1
    assert (len(old), retention.count_old(90)) == (3, 0)


def test_the_oldest_go_first() -> None:
    newer, older = old_run(91), old_run(99)
    retention.delete_old(90, limit=1)
    assert left() == {newer}
    assert older not in left()


def test_the_last_run_of_periodic_work_stays() -> None:
    [run] = periodic.start_due([Work("t", Every.DAY, lambda s: None)], wake=lambda run: None)
    ledger.complete(OperationRun.objects.get(), Outcome.SUCCEEDED, {}, progress={})
    OperationRun.objects.update(finished_at=clock.read() - timedelta(days=100))
    retention.delete_old(0)
    assert left() == {run}
