"""The gate monitor notices a halt at once, also without a notification.

What it can't read counts as closed.
"""

import os
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from governance.access.actors import SYSTEM
from governance.kernel import availability
from governance.models import GovernanceSetting
from governance.namespaces import gate, halts, pauses, registry
from orbit import interrupts
from orbit.interrupts import Slot, WorkerState
from orbit_site.processes import gate_monitor
from orbit_site.processes import listener as listening
from orbit_site.processes.gate_monitor import GateMonitor
from orbit_site.processes.listener import Listener
from orbit_site.processes.postgres import Server
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.read_only import read_only

pytestmark = pytest.mark.usefixtures("committed")
#: With this interval only a notification can wake the monitor while a test lasts.
only_notified = pytest.mark.parametrize("process", [600.0], indirect=True)


@pytest.fixture
def process(
    request: pytest.FixtureRequest, committed: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerState]:
    state = WorkerState()
    monkeypatch.setattr(interrupts, "process", state)
    monkeypatch.setattr(
        gate_monitor, "INTERVAL_SECONDS", getattr(request, "param", gate_monitor.INTERVAL_SECONDS)
    )
    registry.ensure(["a", "b"])
    monitor = GateMonitor()
    monitor.start()
    until(lambda: state.watched, "the monitor doesn't run")
    until(
        lambda: rows(
            "SELECT 1 FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN %%' AND datname = current_database()"
        )
    )
    yield state
    monitor.end()
    rows("SELECT pg_notify(%s, '')", gate.CHANNEL)
    monitor.join(60)
    assert not monitor.is_alive()


def slot(process: WorkerState, namespace: str) -> Slot:
    return process.open(namespace, read_at=interrupts.now())


@only_notified
def test_a_notified_halt_stops_the_slots_of_its_namespace_only(process: WorkerState) -> None:
    halted, other = slot(process, "a"), slot(process, "b")
    halts.halt("a", actor=SYSTEM)
    until(lambda: halted.stopped, "the halt isn't seen")
    assert not other.stopped


@only_notified
def test_a_notified_pause_stops_all_slots(process: WorkerState) -> None:
    slots = [slot(process, "a"), slot(process, "b")]
    pauses.pause(actor=SYSTEM, reason="a fire")
    until(lambda: all(each.stopped for each in slots), "the pause isn't seen")


def test_an_open_gate_is_confirmed_again_and_again(process: WorkerState) -> None:
    busy = slot(process, "a")
    time.sleep(1.0)  # longer than a view stays fresh
    until(lambda: busy.open, "the view isn't renewed")


def test_a_halt_without_a_notification_is_found(process: WorkerState) -> None:
    busy = slot(process, "a")
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=True, mode="halting")
    until(lambda: busy.stopped, "the halt isn't found")


def test_without_the_database_the_view_gets_stale_until_it_is_back(
    process: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = slot(process, "a")

    def fail(self: Listener) -> None:
        raise psycopg.OperationalError("the server is down")

    with monkeypatch.context() as patched:
        patched.setattr(Listener, "open", fail)
        rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        until(lambda: not busy.open, "a stale view counts as open")
        assert not busy.stopped
    until(lambda: busy.open, "the view isn't renewed")


def test_a_monitor_on_a_read_only_server_confirms_nothing_until_it_reaches_another(
    process: WorkerState, committed: str, server: Server
) -> None:
    busy = slot(process, "a")
    with read_only(server, committed):
        until(lambda: not busy.open, "the view of a server that can't be halted counts")
    until(lambda: busy.open, "the view isn't renewed")


def test_a_monitor_whose_connection_falls_silent_opens_another(
    process: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "DEADLINE_SECONDS", 1.0)
    busy = slot(process, "a")
    # The server's own workers, such as autovacuum's, are listed too.
    sessions = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    until(lambda: len(rows(sessions)) == 1, "sessions of an earlier test don't end")
    [(backend,)] = rows(sessions)
    os.kill(backend, signal.SIGSTOP)
    try:
        until(lambda: not busy.open, "a stale view counts as open")
        until(lambda: busy.open, "the view isn't renewed")
    finally:
        os.kill(backend, signal.SIGCONT)


def test_without_busy_slots_it_queries_nothing(process: WorkerState) -> None:
    gate_monitor.read_gate(None)  # type: ignore[arg-type]


def test_an_idle_process_asks_little_and_a_busy_one_at_once(process: WorkerState) -> None:
    last = (
        "SELECT query FROM pg_stat_activity "
        "WHERE query LIKE 'LISTEN %%' AND datname = current_database()"
    )
    time.sleep(listening.VERIFY_SECONDS + 2 * gate_monitor.INTERVAL_SECONDS)
    assert len(rows(last)) == 1
    busy = slot(process, "a")
    time.sleep(interrupts.FRESH_SECONDS)
    assert busy.open
    assert not rows(last)


def test_an_idle_monitor_sleeps_until_a_slot_is_busy(
    process: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    wait = Listener.wait

    def count(self: Listener, seconds: float, *, proved: bool = True) -> bool:
        waits.append(seconds)
        return wait(self, seconds, proved=proved)

    monkeypatch.setattr(Listener, "wait", count)
    time.sleep(4 * gate_monitor.INTERVAL_SECONDS)
    assert not waits
    slot(process, "a")
    until(lambda: waits, "it goes on sleeping")


def test_an_idle_process_leaves_a_server_that_is_no_longer_the_primary(
    process: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability, "IS_READ_ONLY", "SELECT true")
    until(lambda: process.reconnects, "it stays")
