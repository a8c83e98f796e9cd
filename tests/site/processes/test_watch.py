"""The watch of a worker: it hears of a halt at once, finds one that it didn't hear of, and what it can't see counts as closed."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from governance.access.actors import SYSTEM
from governance.models import GovernanceSetting
from governance.namespaces import halts, pauses, registry
from orbit import interrupts
from orbit.interrupts import Slot, WorkerState
from orbit_site.processes import gate_monitor
from orbit_site.processes.gate_monitor import GateMonitor
from orbit_site.processes.listener import Listener
from tests.support.pipeline import rows
from tests.support.polling import until

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def process(committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerState]:
    own = WorkerState()
    monkeypatch.setattr(interrupts, "process", own)
    registry.ensure(["a", "b"])
    watching = GateMonitor()
    watching.start()
    until(lambda: own.watched, "nobody watches")
    yield own
    watching.end()
    watching.join(5)
    assert not watching.is_alive()


def slot(process: WorkerState, namespace: str) -> Slot:
    return process.open(namespace, asked=interrupts.now())


def test_a_halt_is_heard_of_within_a_moment_in_its_namespace_alone(process: WorkerState) -> None:
    one, other = slot(process, "a"), slot(process, "b")
    time.sleep(1.0)
    assert one.open
    assert other.open
    halts.halt("a", actor=SYSTEM)
    until(lambda: one.stopped, "the halt isn't heard of", seconds=gate_monitor.LOOK_SECONDS)
    time.sleep(0.3)
    assert other.open


def test_a_pause_closes_all(process: WorkerState) -> None:
    both = [slot(process, "a"), slot(process, "b")]
    pauses.pause(actor=SYSTEM, reason="a fire")
    until(
        lambda: all(one.stopped for one in both),
        "the pause isn't heard of",
        seconds=gate_monitor.LOOK_SECONDS,
    )


def test_a_halt_that_nobody_rang_for_is_found(process: WorkerState) -> None:
    one = slot(process, "a")
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=True, mode="halting")
    until(lambda: one.stopped, "the halt isn't found")


def test_without_a_database_what_is_known_grows_old_and_is_new_again_when_it_is_back(
    process: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = slot(process, "a")

    def away(self: Listener) -> None:
        raise psycopg.OperationalError("the server is away")

    with monkeypatch.context() as patched:
        patched.setattr(Listener, "open", away)
        rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        until(lambda: not one.open, "a look that is old counts")
        assert not one.stopped
    until(lambda: one.open, "nobody looks again")


def test_without_lanes_it_asks_nothing(process: WorkerState) -> None:
    gate_monitor.look(None)  # type: ignore[arg-type]
