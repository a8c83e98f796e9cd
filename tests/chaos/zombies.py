"""Zombies: a worker is suspended for longer than its lease, and resumed after another took over.

It may still write a 2xx that it has received, and the record ``fenced``. It must send nothing: it
knows how old its claim is.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, until
from tests.chaos.gates import gate
from tests.chaos.points import ITEMS, Caught, Way
from tests.chaos.sink import AFTER, BEFORE
from tests.chaos.testbed import Testbed
from tests.support import processes

# Longer than the lease.
SUSPENDED_SECONDS = 6.0
FENCED = "SELECT count(*) FROM orbit_executionrecord WHERE cycle_id = %s AND event = 'fenced'"
SUCCESSES = """SELECT count(*) FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE j.cycle_id = %s AND r.status = 'delivered'"""


def in_a_tier(testbed: Testbed) -> None:
    """A tier's request is answered while the worker is suspended; the output isn't written."""

    def bring(way: Way) -> Caught:
        hold = way.hold(BEFORE, tier=1)
        cycle = way.start()
        until(lambda: hold.came, LIMIT, "tier 1 sent no request")
        caught = way.carried(cycle)
        processes.suspend(caught.worker)
        hold.release()
        return caught

    cycle = _run(testbed, "in-a-tier", bring)
    key = str(
        testbed.value("SELECT id FROM orbit_transformation WHERE cycle_id = %s AND tier = 1", cycle)
    )
    requests = [entry for entry in testbed.sink.journal if entry.key == key]
    if len(requests) != 2:
        testbed.violations.append(
            f"tier 1 of {cycle} sent {len(requests)} requests under one key, not two"
        )


def before_sending(testbed: Testbed) -> None:
    """Deliveries begin while the worker is suspended; another makes them meanwhile.

    The statements were prepared before. Otherwise the server would have only half of the write when
    its client is suspended.
    """

    def bring(way: Way) -> Caught:
        way.gate.lock("orbit_deliveryreceipt")
        caught = way.at_gate(way.start())
        processes.suspend(caught.worker)
        way.gate.open()
        return caught

    _run(testbed, "before-sending", bring)


def after_the_answer(testbed: Testbed) -> None:
    """The sink answers a suspended worker, and another one meanwhile; both successes are kept."""

    def bring(way: Way) -> Caught:
        hold = way.hold(AFTER)
        cycle = way.start()
        until(lambda: len(hold.came) == ITEMS, LIMIT, "the deliveries were not sent")
        caught = way.carried(cycle)
        processes.suspend(caught.worker)
        hold.release()
        return caught

    cycle = _run(testbed, "after-the-answer", bring)
    if (count := testbed.value(SUCCESSES, cycle)) != 2 * ITEMS:
        testbed.violations.append(f"{count} of the {2 * ITEMS} successes of {cycle} are on record")


def _run(testbed: Testbed, name: str, bring: Callable[[Way], Caught]) -> UUID:
    """Suspend the worker that ``bring`` returns; resume it when another has ended the cycle."""
    testbed.configure([name], testbed.asking_tiers())
    only = testbed.cluster()
    testbed.ready(only)
    testbed.monitor.start()
    testbed.finish(testbed.begin(name))
    # The other cluster is ready, but suspended until the worker is.
    other = testbed.cluster()
    testbed.ready(other)
    other.suspend()
    # The supervisor would kill a silent worker.
    only.send(signal.SIGSTOP)
    with ExitStack() as stack:
        caught = bring(Way(testbed, name, stack.enter_context(gate(testbed.url)), stack))
        suspended_at = time.monotonic()
        testbed.kills += 1
    other.send_group(signal.SIGCONT)
    testbed.finish(caught.cycle)
    time.sleep(max(0.0, SUSPENDED_SECONDS - (time.monotonic() - suspended_at)))
    os.kill(caught.worker, signal.SIGCONT)
    until(
        lambda: testbed.value(FENCED, caught.cycle),
        LIMIT,
        "the zombie has no record of being fenced",
    )
    # The next cycle runs, on any worker.
    only.send(signal.SIGCONT)
    testbed.begin(name)
    testbed.settle()
    testbed.violations += Audit(testbed).look()
    return caught.cycle
