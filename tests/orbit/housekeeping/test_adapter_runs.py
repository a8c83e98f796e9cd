"""``ops.reconcile_adapter_runs`` finds what lost its worker, mends it and counts it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from governance.access.actors import SYSTEM
from governance.models import OperationRun
from governance.namespaces import halts
from governance.operations import ledger, slices
from orbit import queue
from orbit.cycles import lease
from orbit.housekeeping import adapter_runs
from orbit.models import ConductorRun, ConductorTask, CycleRun, DeliveryReceipt
from tests.support import dispatch
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_endpoints, configure_profiles, start_cycle
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")
PAST = Now() - timedelta(minutes=1)
FUTURE = Now() + timedelta(minutes=1)


def reconcile() -> OperationRun:
    """Do a whole run, without its pauses."""
    run, _ = ledger.ensure_workspace_run_with_identity(adapter_runs.TYPE, {}, initiator="orbit")
    for _ in range(9):
        OperationRun.objects.filter(pk=run.pk, finished_at=None).update(next_due_at=Now())
        slices.do_next(run.pk, {run.type: adapter_runs.run_slice}, wake=lambda *_: None)
    run.refresh_from_db()
    return run


def task(number: int, **columns: Any) -> ConductorTask:
    run, _ = ConductorRun.objects.get_or_create(
        id="0" * 26,
        defaults={"name": "r", "namespace": "default", "state": "RUNNING", "open_roots": 9},
    )
    return ConductorTask.objects.create(
        id=f"{number:026}", run=run, index=number, namespace="default", name="t", **columns
    )


def leased(number: int, expires_at: Any) -> ConductorTask:
    return task(
        number,
        state="RUNNING",
        ready=False,
        attempt=1,
        lease_token=uuid4(),
        lease_expires_at=expires_at,
        worker="gone",
    )


def test_without_anything_lost_a_run_succeeds_and_counts_nothing() -> None:
    leased(1, FUTURE)
    run = reconcile()
    assert run.outcome == "succeeded"
    assert run.summary_counts == {"total": 0, "processed": 0, "updated": 0}
    assert {run.progress[kind]["found"] for kind in adapter_runs.KINDS} == {0}


def test_tasks_of_a_lost_worker_get_ready_in_bounded_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter_runs, "TASKS", 2)
    lost = [leased(number, PAST) for number in range(5)]
    alive, free = leased(5, FUTURE), task(6, state="PENDING", ready=True)
    run = reconcile()
    assert run.progress["tasks"] == {"found": 5, "mended": 5}
    assert run.summary_counts == {"total": 5, "processed": 5, "updated": 5}
    for row in ConductorTask.objects.filter(pk__in=[row.pk for row in lost]):
        assert (row.state, row.ready, row.lease_token, row.attempt) == ("RUNNING", True, None, 1)
    alive.refresh_from_db()
    assert alive.lease_token is not None
    free.refresh_from_db()
    assert (free.state, free.ready) == ("PENDING", True)


def test_what_is_mended_beyond_the_counted_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_runs, "COUNTED", 2)
    monkeypatch.setattr(adapter_runs, "TASKS", 2)
    for number in range(5):
        leased(number, PAST)
    run = reconcile()
    assert run.progress["tasks"] == {"found": 5, "mended": 5}
    assert run.summary_counts == {"total": 5, "processed": 5, "updated": 5}


def test_a_cycle_whose_lease_ran_out_gets_a_worker() -> None:
    CycleRun.objects.filter(pk=active_cycle().pk).update(
        status="running",
        lease_owner="gone",
        lease_expires_at=PAST,
        next_due_at=PAST,
        started_at=PAST,
    )
    run = reconcile()
    assert run.progress["cycles"] == {"found": 1, "mended": 1}
    assert queue.ready_wakeups() == 1


@pytest.mark.parametrize("due", [PAST, Now() + timedelta(days=3)])
def test_an_operation_run_whose_slice_is_late_or_was_due_by_a_wrong_clock_is_woken(
    due: Any,
) -> None:
    late, _ = ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")
    OperationRun.objects.filter(pk=late.pk).update(next_due_at=due)
    run = reconcile()
    assert run.progress["operations"] == {"found": 1, "mended": 1}
    assert queue.tasks_wait()


def test_deliveries_in_flight_of_a_lost_worker_are_counted_and_closed_under_a_halt(
    settings: Any,
) -> None:
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles()
        cycle_id = start_cycle()
        (claimed,) = lease.claim(1)
        dispatch.enqueue_deliveries(claimed)
        assert len(dispatch.claim_jobs(claimed, limit=16, worker="w")) == 3
        assert reconcile().progress["deliveries"] == {"found": 0, "mended": 0}
        CycleRun.objects.filter(pk=cycle_id).update(lease_expires_at=PAST, next_due_at=PAST)
        # The next claim of the cycle sends them again.
        assert reconcile().progress["deliveries"] == {"found": 3, "mended": 0}
        halts.halt("a", actor=SYSTEM, reason="a fire")
        assert reconcile().progress["deliveries"] == {"found": 3, "mended": 1}
    assert not DeliveryReceipt.objects.filter(status="sending").exists()
    assert receiver.requests == []


def test_a_run_that_dies_in_its_slice_never_happened() -> None:
    leased(1, PAST)

    def die(slice_: slices.Slice) -> None:
        adapter_runs.run_slice(slice_)
        raise KeyboardInterrupt  # ends the process, as SIGKILL does

    run, _ = ledger.ensure_workspace_run_with_identity(adapter_runs.TYPE, {}, initiator="orbit")
    with pytest.raises(KeyboardInterrupt):
        slices.do_next(run.pk, {run.type: die}, wake=lambda *_: None)
    assert not ConductorTask.objects.get().ready
    assert reconcile().progress["tasks"] == {"found": 1, "mended": 1}
