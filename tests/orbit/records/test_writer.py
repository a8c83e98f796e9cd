"""The coalescing writer: what shares a statement, and how each of it ends."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, connection

from governance.kernel import sql
from orbit.cycles import finish, lease, stages
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import state as dispatch_state
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.state import DispatchState
from orbit.models import CycleRun
from orbit.records import fence, writer
from orbit.records.fence import ClaimedCycle, Collided, Fenced
from orbit.records.writer import Writer
from orbit_site.processes.postgres import Server
from tests.support import database, dispatch
from tests.support.clusters import endpoint
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_due,
    start_cycle,
)
from tests.support.polling import until
from tests.support.postgres_proxy import Fault, PostgresProxy, lose_answer, lose_request
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.usefixtures("committed")

BATCH = 64
ENQUEUED = "SELECT cycle_id FROM orbit_cyclecheckpoint WHERE stage = 'dispatch_enqueued'"


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many cycles each statement of a writer had."""
    real, numbers = sql.send, []

    def send(text: str, parameters: Any, **more: Any) -> Any:
        if threading.current_thread().name == "writer":
            numbers.append(len(parameters["ids"]))
        return real(text, parameters, **more)

    monkeypatch.setattr(sql, "send", send)
    return numbers


def claim(settings: Any, number: int) -> list[ClaimedCycle]:
    """Start cycles in namespaces of their own; claim them."""
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    names = [f"r{n}" for n in range(number)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    for name in names:
        start_cycle(name)
    claimed: list[ClaimedCycle] = []
    while len(claimed) < number:
        claimed += lease.claim(number - len(claimed))
    return claimed


def prepare(cycle: ClaimedCycle) -> None:
    """Run a new cycle up to its jobs."""
    stages.prepare_in_one_write(CycleProgress(cycle), dispatch.state(), worker=None)


@contextmanager
def together(
    cycles: Sequence[ClaimedCycle], act: Callable[[ClaimedCycle], Any] = prepare
) -> Iterator[list[Future[Any]]]:
    """Do ``act`` for all cycles in threads that share a writer, which waits for all of them."""
    shared, everyone = Writer(lambda: 0), threading.Barrier(len(cycles), timeout=60)

    def run(cycle: ClaimedCycle) -> Any:
        try:
            with fence.sharing(shared, cycle):
                everyone.wait()
                return act(cycle)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(cycles)) as pool:
        yield [pool.submit(run, cycle) for cycle in cycles]


def test_writes_that_come_together_share_a_statement(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, 5)
    with together(cycles) as ends:
        assert [end.result() for end in ends] == [None] * 5
    assert batches == [5]
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in cycles}
    # Each cycle has its own rows: three jobs, and the body that its tiers made.
    assert rows("SELECT cycle_id, count(*) FROM orbit_dispatchjob GROUP BY 1 ORDER BY 1") == sorted(
        (cycle.id, 3) for cycle in cycles
    )


def test_payloads_stay_with_their_cycles(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, 4)
    for cycle in cycles:
        cycle.input = f'{{"of":"{cycle.id}"}}'.encode()
    with together(cycles) as ends:
        for end in ends:
            end.result()
    stored = rows(
        "SELECT b.cycle_id, convert_from(i.payload, 'UTF8') FROM orbit_normalizationitem i"
        " JOIN orbit_normalizationbatch b ON b.id = i.batch_id"
    )
    assert Counter(stored) == {(cycle.id, f'{{"of":"{cycle.id}"}}'): 3 for cycle in cycles}


def test_each_cycle_of_a_batch_begins_its_own_deliveries(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    state = DispatchState()
    cycles = claim(settings, 4)
    for cycle in cycles:
        cycle.input = f'{{"of":"{cycle.id}"}}'.encode()

    def begin(cycle: ClaimedCycle) -> list[ClaimedJob]:
        return stages.prepare_in_one_write(CycleProgress(cycle), state, worker="w")

    with together(cycles, begin) as ends:
        begun = [end.result() for end in ends]
    assert batches == [4]
    for cycle, jobs in zip(cycles, begun, strict=True):
        assert [(job.cycle_id, job.body) for job in jobs] == [(cycle.id, cycle.input)] * 3
        receipts = rows(
            "SELECT r.id, r.job_id, r.fencing_token FROM orbit_deliveryreceipt r"
            " JOIN orbit_dispatchjob j ON j.id = r.job_id"
            " WHERE j.cycle_id = %s AND r.status = 'sending' AND j.status = 'sending'",
            cycle.id,
        )
        assert set(receipts) == {(job.receipt_id, job.job_id, cycle.token) for job in jobs}


def test_one_cycle_alone_does_not_wait(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    with together(claim(settings, 1)) as (end,):
        end.result(timeout=30)


def test_a_resumed_cycle_waits_for_no_other_and_no_other_for_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may kill this worker: until then each must have written what it has."""
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    slow, resumed, usual = cycles = claim(settings, 3)
    slow.resumed = resumed.resumed = True
    release = threading.Event()

    def act(cycle: ClaimedCycle) -> None:
        if cycle is slow:
            assert release.wait(60)
        prepare(cycle)

    with together(cycles, act) as ends:
        for end in ends[1:]:
            end.result(timeout=30)
        release.set()
    assert usual.resumes == 0


def test_a_slot_that_waits_for_a_receiver_holds_up_no_other(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    first, second = claim(settings, 2)
    is_prepared = threading.Event()

    def act(cycle: ClaimedCycle) -> None:
        if cycle is first:
            with fence.away():
                assert is_prepared.wait(30)
        prepare(cycle)
        is_prepared.set()

    with together([first, second], act) as ends:
        for end in ends:
            end.result(timeout=60)


def test_a_slot_that_sleeps_before_a_retry_holds_up_no_other(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    first, second = claim(settings, 2)
    is_prepared, state = threading.Event(), DispatchState()
    sleeping = SimpleNamespace(sleep=lambda seconds: is_prepared.wait(30))
    monkeypatch.setattr(dispatch_state, "time", sleeping)

    def act(cycle: ClaimedCycle) -> None:
        if cycle is first:
            assert state.sleep(0.5)
            assert is_prepared.is_set()
        prepare(cycle)
        is_prepared.set()

    with together([first, second], act) as ends:
        for end in ends:
            end.result(timeout=60)


def test_of_a_batch_of_64_each_cycle_ends_as_it_would_alone(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    cycles = claim(settings, BATCH)
    fenced, large, doubled, *good = cycles
    large.input_content_type = "x" * 1000
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orbit_cyclerun SET fencing_token = 7 WHERE id = %s", [fenced.id])
        cursor.execute(
            "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token)"
            " VALUES (%s, 'dispatch_enqueued', 1)",
            [doubled.id],
        )
    with together(cycles) as ends:
        errors = [type(end.exception()) for end in ends]
    assert errors == [Fenced, DataError, Collided, *[type(None)] * (BATCH - 3)]
    assert batches == [BATCH]
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in [doubled, *good]}
    jobs = "SELECT cycle_id, count(*) FROM orbit_dispatchjob GROUP BY 1"
    assert dict(rows(jobs)) == {cycle.id: 3 for cycle in good}
    records = "SELECT DISTINCT cycle_id FROM orbit_executionrecord WHERE event = 'cycle_started'"
    assert {id_ for (id_,) in rows(records)} == {cycle.id for cycle in good}


def test_a_fenced_cycle_falls_out_of_its_batch_alone(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    fenced, *good = cycles = claim(settings, 4)
    CycleRun.objects.filter(pk=fenced.id).update(fencing_token=7)
    with together(cycles) as ends:
        assert isinstance(ends[0].exception(), Fenced)
        assert [end.exception() for end in ends[1:]] == [None] * 3
    assert batches == [4]  # the others weren't written a second time
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in good}


def test_a_locked_cycle_does_not_hold_up_the_others(
    settings: Any, server: Server, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    locked, *_ = cycles = claim(settings, 4)
    with psycopg.connect(server.url("orbit_app", committed)) as locker:
        locker.execute("SELECT 1 FROM orbit_cyclerun WHERE id = %s FOR UPDATE", [locked.id])
        with together(cycles) as ends:
            for end in ends[1:]:
                end.result(timeout=30)
            assert not ends[0].done()
            locker.rollback()
            ends[0].result(timeout=30)
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in cycles}


def test_a_large_write_and_a_resumed_cycle_share_no_statement(
    settings: Any, batches: list[int]
) -> None:
    large, resumed, usual = cycles = claim(settings, 3)
    large.input = b" " * (writer.LARGE + 1)
    resumed.resumed = True
    with together(cycles) as ends:
        for end in ends:
            end.result(timeout=60)
    assert batches == [1]
    assert {id_ for (id_,) in rows(ENQUEUED)} == {cycle.id for cycle in cycles}
    assert usual.resumes == 0


def test_a_cycle_never_comes_twice_in_a_batch(settings: Any) -> None:
    (cycle,) = claim(settings, 1)
    (zombie,) = [ClaimedCycle(**{name: getattr(cycle, name) for name in cycle.__slots__})]
    writes = [fence.FencedWrite(each, "SELECT") for each in (cycle, zombie)]
    waiting = [writer._Waiting(write, 0) for write in writes]
    assert [len(batch) for batch in writer.batches(waiting)] == [1, 1]


def test_a_batch_is_bounded_by_its_payloads(settings: Any) -> None:
    cycles = claim(settings, 3)
    half = writer.MOST_BYTES // 2
    waiting = [
        writer._Waiting(fence.FencedWrite(cycle, "SELECT"), size)
        for cycle, size in zip(cycles, (half, half, 1), strict=True)
    ]
    assert [len(batch) for batch in writer.batches(waiting)] == [2, 1]


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
@pytest.mark.parametrize("statement", [stages.START_AND_PREPARE, finish.CLOSE_DELIVERIES])
def test_a_batch_without_an_answer_is_done_once(
    settings: Any, proxy: PostgresProxy, fault: Fault, statement: sql.Statement
) -> None:
    names = [f"r{n}" for n in range(6)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        for name in names:
            start_cycle(name)
        rule = proxy.on(statement, fault)
        end_all()
        assert rule.done == 1
        check_delivered_once(receiver, 6)


def end_all() -> None:
    """Run cycles until nothing is left to do."""

    def ended() -> bool:
        run_due(seconds=1)
        return not CycleRun.objects.filter(next_due_at__isnull=False).exists()

    until(ended, "some cycles did not end", every=0.2)


def check_delivered_once(receiver: Receiver, number: int, *, most: int = 1) -> None:
    """Check that each of ``number`` cycles succeeded, and each delivery was recorded once."""
    assert rows("SELECT status, count(*) FROM orbit_cyclerun GROUP BY 1") == [("success", number)]
    keys = Counter(request.headers["idempotency-key"] for request in receiver.requests)
    assert len(keys) == 3 * number
    assert max(keys.values()) <= most
    assert rows("SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'delivered'") == [
        (3 * number,)
    ]
    doubled = (
        "SELECT cycle_id, stage FROM orbit_cyclecheckpoint GROUP BY 1, 2 HAVING count(*) > 1",
        "SELECT cycle_id FROM orbit_executionrecord WHERE event = 'cycle_finished'"
        " GROUP BY 1 HAVING count(*) > 1",
        "SELECT cycle_id FROM orbit_valueledgerentry GROUP BY cycle_id, kind, tag, unit"
        " HAVING count(*) > 1",
    )
    for query in doubled:
        assert rows(query) == []


#: Refuses the first COMMIT with this checkpoint.
REFUSE_AT_COMMIT = """
CREATE SEQUENCE refusals;
GRANT USAGE ON SEQUENCE refusals TO PUBLIC;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.stage = '{stage}' AND nextval('refusals') = 1 THEN
        RAISE EXCEPTION 'refused' USING ERRCODE = '{state}';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON orbit_cyclecheckpoint
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("stage", ["dispatch_enqueued", "cycle_finished"])
@pytest.mark.parametrize("state", ["57014", "53100", "40P01", "57P01", "XX000", "25006", "23514"])
def test_a_batch_that_fails_at_its_commit_is_done_once(
    settings: Any, server: Server, committed: str, stage: str, state: str
) -> None:
    names = [f"r{n}" for n in range(6)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        for name in names:
            start_cycle(name)
        with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
            owner.execute(REFUSE_AT_COMMIT.format(stage=stage, state=state))
        end_all()
        check_delivered_once(receiver, 6)
        assert rows("SELECT last_value > 1 FROM refusals") == [(True,)]


def test_a_commit_whose_server_named_the_disk_and_ended_is_unknown(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a server may find the commit in its log when it recovers."""
    real = sql.send

    def send(text: str, parameters: Any, **more: Any) -> Any:
        answer = real(text, parameters, **more)
        if threading.current_thread().name == "writer":
            connection.connection.close()
            raise OperationalError from psycopg.errors.DiskFull()
        return answer

    monkeypatch.setattr(sql, "send", send)
    with together(claim(settings, 1)) as (end,):
        assert type(end.exception()) is OperationalError
    assert len(rows(ENQUEUED)) == 1


def test_a_connection_that_breaks_before_its_first_statement_is_replaced(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, breaks = Writer._connect, [True]

    def break_once(shared: Writer) -> None:
        if breaks:
            breaks.clear()
            connection.ensure_connection()
            connection.connection.close()
        real(shared)

    monkeypatch.setattr(Writer, "_connect", break_once)
    first, second = claim(settings, 2)

    def act(cycle: ClaimedCycle) -> None:
        prepare(cycle)
        prepare(second)

    with together([first], act) as (end,):
        end.result(timeout=30)
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in (first, second)}
    assert batches == [1]


def test_without_a_thread_for_the_writer_each_write_runs_alone(
    settings: Any, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (cycle,), start = claim(settings, 1), threading.Thread.start

    def full(thread: threading.Thread) -> None:
        if thread.name == "writer":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    with together([cycle]) as (end,):
        end.result(timeout=30)
    assert (rows(ENQUEUED), batches) == ([(cycle.id,)], [])


def test_a_writer_that_fails_itself_wakes_its_slots_and_goes_on(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60.0)
    real, failures = writer.batches, [MemoryError()]

    def fail_once(waiting: Sequence[writer._Waiting]) -> Iterator[list[writer._Waiting]]:
        if failures:
            raise failures.pop()
        return real(waiting)

    monkeypatch.setattr(writer, "batches", fail_once)
    first, second, third = claim(settings, 3)

    def act(cycle: ClaimedCycle) -> None:
        prepare(cycle)
        if cycle is first:
            prepare(third)

    with together([first, second], act) as ends:
        for end in ends:
            end.result(timeout=30)
    assert Counter(rows(ENQUEUED)) == {(cycle.id,): 1 for cycle in (first, second, third)}


# --- SIGKILL inside the writer ----------------------------------------------------------------

#: A worker that dies inside its writer. Its first batches are refused if REFUSED, so that each
#: write is replayed alone.
KILLED = """
import django; django.setup()
import os, signal, sys
from governance.kernel import sql
from orbit import tasks
from orbit.cycles.runner import WorkerProcess
from orbit.records import fence, writer
from tests.support.pipeline import run_due

point, passes = sys.argv[1], int(sys.argv[2])
writer.GATHER_SECONDS = 2.0
left = passes

def die():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

send, execute, commit = sql.send, fence.execute, writer.Writer._commit

def send_and_die(text, parameters, **more):
    if "before batch" in point:
        die()
    rows = send(text, parameters, **more)
    if "after batch" in point:
        die()
    return rows

def execute_and_die(write):
    if "before alone" in point:
        die()
    rows = execute(write)
    if "after alone" in point:
        die()
    return rows

class Namespace:
    send = staticmethod(send_and_die)

writer.sql = Namespace
if "alone" in point:
    fence.execute = execute_and_die
    writer.Writer._commit = lambda self, batch: None  # as if the server had refused it
tasks.worker = WorkerProcess()
run_due(seconds=10)
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("point", "passes"),
    [
        # There are two batches: all starts, with the first wave of deliveries, and all ends.
        *product(("before batch", "after batch"), (0, 1)),
        *product(("before alone", "after alone"), (0, 1, 3)),
    ],
)
def test_a_worker_that_is_killed_inside_its_writer_loses_and_doubles_nothing(
    settings: Any, server: Server, committed: str, point: str, passes: int
) -> None:
    names = [f"r{n}" for n in range(6)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    with Receiver(OK) as receiver:
        environment = {
            **os.environ,
            **database.environment(server, committed),
            **endpoint(receiver.url),
            "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
            "ORBIT_LEASE_SECONDS": "2",
        }
        configure_endpoints(settings, default_endpoint=receiver.url)
        for name in names:
            start_cycle(name)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, point, str(passes)],
            cwd=database.PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        end_all()
        # An answer that only the dead worker had is asked for again, under the same key.
        check_delivered_once(receiver, 6, most=2)
