"""One slice at a time, each once; a run whose slices fail ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import OperationalError, connection

from governance import audit
from governance.audit.actions import Action
from governance.models import AuditTrailEntry, OperationRun
from governance.operations import ledger, slices
from governance.operations.slices import Slice, SliceHandler
from governance.states import Outcome
from orbit_site.processes.postgres import Server
from tests.support.dead_letters import make_due
from tests.support.pipeline import rows

pytestmark = pytest.mark.usefixtures("committed")


def run() -> OperationRun:
    return ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")[0]


def worked(run_id: UUID, act: SliceHandler) -> list[datetime]:
    """Work on the run by ``act``; return when it was to be woken."""
    woken: list[datetime] = []
    slices.do_next(run_id, {"t": act}, wake=lambda _, at: woken.append(at))
    return woken


def counting(wait: float = 0.0) -> tuple[list[UUID], Callable[[Slice], datetime | None]]:
    seen: list[UUID] = []

    def act(slice_: Slice) -> datetime | None:
        seen.append(slice_.run.pk)
        return ledger.save_progress(slice_.run, {"total": 9, "processed": len(seen)}, wait=wait)

    return seen, act


def broken(_: Slice) -> datetime | None:
    audit.record(Action.CYCLE_CANCELLED, actor="ann")
    raise ZeroDivisionError("by zero")


def test_of_doubled_tasks_one_has_an_effect_until_the_next_slice_is_due() -> None:
    made = run()
    seen, act = counting(wait=60)

    def task(_: int) -> int:
        try:
            return len(worked(made.pk, act))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(task, range(24))) == 1
    assert seen == [made.pk]
    made.refresh_from_db()
    assert (made.status, made.progress["processed"], made.started_at is not None) == (
        "running",
        1,
        True,
    )
    make_due(made.pk)
    assert len(worked(made.pk, act)) == 1
    assert len(seen) == 2


def test_a_task_of_a_run_that_has_ended_or_never_was_does_nothing() -> None:
    made = run()
    ledger.complete(made, Outcome.CANCELLED, {}, progress={})
    seen, act = counting()
    assert worked(made.pk, act) == worked(uuid4(), act) == seen == []


def test_a_run_that_is_not_the_canonical_one_of_its_identity_ends_as_skipped(
    server: Server, committed: str
) -> None:
    first = run()
    # The index that keeps such a run out is away, as while a dump is being restored.
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        owner.execute("DROP INDEX one_active_run_in_the_workspace")
    second = OperationRun.objects.create(id=UUID(int=first.pk.int + 1), type="t", identity_hash=first.identity_hash, status="queued", initiator="bob",
                                         next_due_at=first.next_due_at)  # fmt: skip
    seen, act = counting()
    assert worked(second.pk, act) == []
    second.refresh_from_db()
    assert (second.status, second.outcome, seen) == ("completed", "skipped", [])
    assert worked(first.pk, act)


def test_a_slice_that_fails_leaves_nothing_and_five_in_a_row_end_the_run() -> None:
    made = run()
    for number in range(1, 5):
        make_due(made.pk)
        assert len(worked(made.pk, broken)) == 1
        made.refresh_from_db()
        assert (made.status, made.faults) == ("running", number)
    make_due(made.pk)
    seen, act = counting()
    worked(made.pk, act)
    made.refresh_from_db()
    assert (made.faults, len(seen)) == (0, 1)
    for _ in range(5):
        make_due(made.pk)
        worked(made.pk, broken)
    made.refresh_from_db()
    assert (made.outcome, made.progress["note"]) == (
        "failed",
        "given up after 5 failures in a row: ZeroDivisionError",
    )
    assert not AuditTrailEntry.objects.exists()


def test_a_slice_whose_connection_is_lost_never_happened() -> None:
    made = run()

    def cut(slice_: Slice) -> datetime | None:
        ledger.save_progress(slice_.run, {"total": 1, "processed": 1}, wait=0)
        rows("SELECT pg_terminate_backend(pg_backend_pid())")
        return None

    with pytest.raises(OperationalError):
        worked(made.pk, cut)
    connection.close()
    made.refresh_from_db()
    assert (made.status, made.progress, made.faults) == ("queued", {}, 0)
    assert worked(made.pk, counting()[1])


def test_a_type_that_this_release_does_not_know_is_left_to_another() -> None:
    made = run()
    woken: list[datetime] = []
    slices.do_next(made.pk, {}, wake=lambda _, at: woken.append(at))
    made.refresh_from_db()
    assert (made.status, len(woken), made.faults) == ("running", 1, 0)
