"""Zombies: a worker is stopped (SIGSTOP) for longer than its lease, another takes its cycle, then it goes on (SIGCONT).

What it may still write is a 2xx that it had received, and the record ``fenced``. What it may still send is nothing: it knows how long ago
it asked for its wave.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.fleet import until
from tests.chaos.gates import gate
from tests.chaos.points import ITEMS, Caught, Way
from tests.chaos.sink import AFTER, BEFORE
from tests.chaos.stand import Stand

# Longer than what a process takes for a short hiccup, shorter than what its supervisor kills for.
STOPPED = 6.0
FENCED = "SELECT count(*) FROM orbit_executionrecord WHERE cycle_id = %s AND event = 'fenced'"
KEPT = "SELECT count(*) FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE j.cycle_id = %s AND r.status = 'delivered'"


def in_a_tier(stand: Stand) -> None:
    """The zombie's transformer is answered while it is stopped; its output isn't written."""

    def bring(way: Way) -> Caught:
        hold = way.hold(BEFORE, tier=1)
        cycle = way.start()
        until(lambda: hold.came, 10, "tier 1 doesn't ask")
        caught = way.carried(cycle)
        os.kill(caught.worker, signal.SIGSTOP)
        hold.release()
        return caught

    cycle = _play(stand, "in-a-tier", bring)
    key = str(
        stand.one("SELECT id FROM orbit_transformation WHERE cycle_id = %s AND tier = 1", cycle)
    )
    asked = [entry for entry in stand.sink.journal if entry.key == key]
    if len(asked) != 2:
        stand.violations.append(
            f"tier 1 of {cycle} was asked {len(asked)} times under one key, not twice"
        )


def before_sending(stand: Stand) -> None:
    """The zombie's claim of a wave commits while it is stopped; it comes to know of it when another has delivered everything.

    Its statements were prepared before: else the server would have only half of the claim when its client is stopped.
    """

    def bring(way: Way) -> Caught:
        way.gate.lock("orbit_deliveryreceipt")
        caught = way.at_gate(way.start())
        os.kill(caught.worker, signal.SIGSTOP)
        way.gate.open()
        return caught

    _play(stand, "before-sending", bring)


def after_the_answer(stand: Stand) -> None:
    """The receiver answers the zombie with 2xx while it is stopped; another has sent again meanwhile; both successes are kept."""

    def bring(way: Way) -> Caught:
        hold = way.hold(AFTER)
        cycle = way.start()
        until(lambda: len(hold.came) == ITEMS, 10, "the deliveries don't come")
        caught = way.carried(cycle)
        os.kill(caught.worker, signal.SIGSTOP)
        hold.release()
        return caught

    cycle = _play(stand, "after-the-answer", bring)
    if (kept := stand.one(KEPT, cycle)) != 2 * ITEMS:
        stand.violations.append(
            f"of the {2 * ITEMS} successes that the sink gave for {cycle}, {kept} are on record"
        )


def _play(stand: Stand, name: str, bring: Callable[[Way], Caught]) -> UUID:
    """Have a cycle brought to its place and its worker stopped; wake the worker when another has ended the cycle; audit."""
    stand.configure([name], stand.asking_tiers())
    only = stand.cluster()
    stand.ready(only)
    stand.monitor.start()
    stand.finish(stand.begin(name), 10)
    # The other cluster is there, and out of the way until the zombie is one: what follows has no time for a start.
    other = stand.cluster()
    stand.ready(other)
    other.send_group(signal.SIGSTOP)
    with ExitStack() as stack:
        caught = bring(Way(stand, name, stack.enter_context(gate(stand.url)), stack))
        stopped = time.monotonic()
        stand.kills += 1
    other.send_group(signal.SIGCONT)
    stand.finish(caught.cycle, 8)
    time.sleep(max(0.0, STOPPED - (time.monotonic() - stopped)))
    os.kill(caught.worker, signal.SIGCONT)
    until(lambda: stand.one(FENCED, caught.cycle), 5, "the zombie doesn't say that it was fenced")
    # It is a worker like any other again: the next cycle runs.
    stand.begin(name)
    stand.settle(10)
    stand.violations += Audit(stand).look()
    return caught.cycle
