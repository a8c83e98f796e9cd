"""Each slice is done once; a run whose slices fail ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import InternalError, OperationalError, connection

from governance import audit
from governance.audit.actions import Action
from governance.kernel import clock
from governance.models import AuditTrailEntry, OperationRun
from governance.operations import ledger, slices
from governance.operations.slices import Slice, SliceHandler
from governance.states import Outcome
from orbit_site.processes.postgres import Server
from tests.support.dead_letters import make_due
from tests.support.pipeline import rows

pytestmark = pytest.mark.usefixtures("committed")


def create_run() -> OperationRun:
    return ledger.ensure_workspace_run_with_identity("t", {}, initiator="ann")[0]


def do_slice(run_id: UUID, act: SliceHandler) -> list[datetime]:
    """Do a slice by ``act``; return the wake-ups."""
    wakeups: list[datetime] = []
    slices.do_next(run_id, {"t": act}, wake=lambda _, at: wakeups.append(at))
    return wakeups


def counting_handler(wait: float = 0.0) -> tuple[list[UUID], Callable[[Slice], datetime | None]]:
    calls: list[UUID] = []

    def act(slice_: Slice) -> datetime | None:
        calls.append(slice_.run.pk)
        return ledger.save_progress(slice_.run, {"total": 9, "processed": len(calls)}, wait=wait)

    return calls, act


def failing_handler(_: Slice) -> datetime | None:
    audit.record(Action.CYCLE_CANCELLED, actor="ann")
    raise ZeroDivisionError("by zero")


def test_of_doubled_tasks_one_has_an_effect_until_the_next_slice_is_due() -> None:
    run = create_run()
    calls, act = counting_handler(wait=60)

    def task(_: int) -> int:
        try:
            return len(do_slice(run.pk, act))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(task, range(24))) == 1
    assert calls == [run.pk]
    run.refresh_from_db()
    assert (run.status, run.progress["processed"], run.started_at is not None) == (
        "running",
        1,
        True,
    )
    make_due(run.pk)
    assert len(do_slice(run.pk, act)) == 1
    assert len(calls) == 2


def test_a_slice_that_a_wrong_clock_put_days_ahead_is_done_now() -> None:
    run = create_run()
    calls, act = counting_handler(wait=60)
    OperationRun.objects.update(next_due_at=clock.read() + timedelta(days=3))
    do_slice(run.pk, act)
    do_slice(run.pk, act)  # it waits for a minute, as it should
    assert calls == [run.pk]


def test_a_task_of_a_run_that_has_ended_or_never_was_does_nothing() -> None:
    run = create_run()
    ledger.complete(run, Outcome.CANCELLED, {}, progress={})
    calls, act = counting_handler()
    assert do_slice(run.pk, act) == do_slice(uuid4(), act) == calls == []


def test_a_run_that_is_not_the_canonical_one_of_its_identity_ends_as_skipped(
    server: Server, committed: str
) -> None:
    first = create_run()
    # Without the index that rules such a run out, as during a restore.
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        owner.execute("DROP INDEX one_active_run_in_the_workspace")
    second = OperationRun.objects.create(
        id=UUID(int=first.pk.int + 1),
        type="t",
        identity_hash=first.identity_hash,
        status="queued",
        initiator="bob",
        next_due_at=first.next_due_at,
    )
    calls, act = counting_handler()
    assert do_slice(second.pk, act) == []
    second.refresh_from_db()
    assert (second.status, second.outcome, calls) == ("completed", "skipped", [])
    assert do_slice(first.pk, act)


def test_a_slice_that_fails_leaves_nothing_and_five_in_a_row_end_the_run() -> None:
    run = create_run()
    for number in range(1, 5):
        make_due(run.pk)
        assert len(do_slice(run.pk, failing_handler)) == 1
        run.refresh_from_db()
        assert (run.status, run.faults) == ("running", number)
    make_due(run.pk)
    calls, act = counting_handler()
    do_slice(run.pk, act)
    run.refresh_from_db()
    assert (run.faults, len(calls)) == (0, 1)
    for _ in range(5):
        make_due(run.pk)
        do_slice(run.pk, failing_handler)
    run.refresh_from_db()
    assert (run.outcome, run.progress["note"]) == (
        "failed",
        "given up after 5 failures in a row: ZeroDivisionError",
    )
    assert not AuditTrailEntry.objects.exists()


def test_a_slice_that_takes_too_long_each_time_ends_its_run() -> None:
    run = create_run()

    def sleep(_: Slice) -> datetime | None:
        rows("SELECT set_config('statement_timeout', '1', true)")
        rows("SELECT pg_sleep(60)")
        return None

    for _ in range(slices.MAX_FAULTS):
        make_due(run.pk)
        do_slice(run.pk, sleep)
    run.refresh_from_db()
    assert (run.outcome, run.progress["note"]) == (
        "failed",
        "given up after 5 failures in a row: OperationalError",
    )


def test_a_slice_whose_connection_is_lost_never_happened() -> None:
    run = create_run()

    def cut(slice_: Slice) -> datetime | None:
        ledger.save_progress(slice_.run, {"total": 1, "processed": 1}, wait=0)
        rows("SELECT pg_terminate_backend(pg_backend_pid())")
        return None

    with pytest.raises(OperationalError):
        do_slice(run.pk, cut)
    connection.close()
    run.refresh_from_db()
    assert (run.status, run.progress, run.faults) == ("queued", {}, 0)
    assert do_slice(run.pk, counting_handler()[1])


def test_a_slice_on_a_server_that_became_read_only_never_happened() -> None:
    run = create_run()

    def act(slice_: Slice) -> datetime | None:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        return ledger.save_progress(slice_.run, {"total": 1, "processed": 1}, wait=0)

    for _ in range(slices.MAX_FAULTS):
        with pytest.raises(InternalError):
            do_slice(run.pk, act)
    run.refresh_from_db()
    assert (run.status, run.faults) == ("queued", 0)


def test_a_type_that_this_release_does_not_know_is_left_to_another() -> None:
    run = create_run()
    wakeups: list[datetime] = []
    slices.do_next(run.pk, {}, wake=lambda _, at: wakeups.append(at))
    run.refresh_from_db()
    assert (run.status, len(wakeups), run.faults) == ("running", 1, 0)
