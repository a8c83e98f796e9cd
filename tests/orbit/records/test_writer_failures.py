"""The coalescing writer: lost answers, errors, and SIGKILL inside it."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from governance.kernel import sql
from orbit.cycles import finish, stages
from orbit.records import writer
from orbit.records.fence import ClaimedCycle
from orbit.records.writer import Writer
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.clusters import endpoint
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    start_cycle,
)
from tests.support.postgres_proxy import Fault, PostgresProxy, lose_answer, lose_request
from tests.support.receiver import OK, Receiver
from tests.support.shared_writes import (
    ENQUEUED,
    check_delivered_once,
    claim,
    end_all,
    prepare,
    together,
)

pytestmark = pytest.mark.usefixtures("committed")


@pytest.mark.parametrize("fault", [lose_answer, lose_request])
@pytest.mark.parametrize("statement", [stages.START_AND_PREPARE, finish.CLOSE_DELIVERIES])
def test_a_batch_without_an_answer_is_done_once(
    settings: Any,
    proxy: PostgresProxy,
    fault: Fault,
    statement: sql.Statement,
    batches: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "GATHER_SECONDS", 1.0)
    names = [f"r{n}" for n in range(6)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    with Receiver(OK) as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        for name in names:
            start_cycle(name)
        rule = proxy.on(statement, fault)
        end_all()
        assert rule.done == 1
        assert max(batches) > 1
        check_delivered_once(receiver, 6)


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
