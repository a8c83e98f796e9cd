"""The watch of a worker: it hears of a halt at once, finds one that it didn't hear of, and what it can't see counts as closed."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from governance.access.actors import SYSTEM
from governance.models import GovernanceSetting
from governance.namespaces import halts, pauses, registry
from orbit import interrupts
from orbit.interrupts import Boundary, Lane
from orbit_site.processes import gate_monitor
from orbit_site.processes.gate_monitor import Watch
from orbit_site.processes.listener import Ear
from tests.support.clusters import until
from tests.support.pipeline import rows

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def process(committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Boundary]:
    own = Boundary()
    monkeypatch.setattr(interrupts, "process", own)
    registry.ensure(["a", "b"])
    watching = Watch()
    watching.start()
    until(lambda: own.watched, 5, "nobody watches")
    yield own
    watching.end()
    watching.join(5)
    assert not watching.is_alive()


def lane(process: Boundary, namespace: str) -> Lane:
    return process.open(namespace, asked=interrupts.now())


def test_a_halt_is_heard_of_within_a_moment_in_its_namespace_alone(process: Boundary) -> None:
    one, other = lane(process, "a"), lane(process, "b")
    time.sleep(1.0)
    assert one.open
    assert other.open
    halts.halt("a", actor=SYSTEM)
    until(lambda: one.stopped, gate_monitor.LOOK_SECONDS, "the halt isn't heard of")
    time.sleep(0.3)
    assert other.open


def test_a_pause_closes_all(process: Boundary) -> None:
    both = [lane(process, "a"), lane(process, "b")]
    pauses.pause(actor=SYSTEM, reason="a fire")
    until(
        lambda: all(one.stopped for one in both),
        gate_monitor.LOOK_SECONDS,
        "the pause isn't heard of",
    )


def test_a_halt_that_nobody_rang_for_is_found(process: Boundary) -> None:
    one = lane(process, "a")
    GovernanceSetting.objects.filter(namespace__name="a").update(halt=True, mode="halting")
    until(lambda: one.stopped, 1.0, "the halt isn't found")


def test_without_a_database_what_is_known_grows_old_and_is_new_again_when_it_is_back(
    process: Boundary, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lane(process, "a")

    def away(self: Ear) -> None:
        raise psycopg.OperationalError("the server is away")

    with monkeypatch.context() as patched:
        patched.setattr(Ear, "open", away)
        rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        until(lambda: not one.open, 2.0, "a look that is old counts")
        assert not one.stopped
    until(lambda: one.open, 3.0, "nobody looks again")


def test_without_lanes_it_asks_nothing(process: Boundary) -> None:
    gate_monitor.look(None)  # type: ignore[arg-type]
