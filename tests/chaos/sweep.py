"""SIGKILL at every point to the worker, its group or its supervisor; and at every moment."""

import signal
import time
from itertools import product
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, Late, Member, until
from tests.chaos.points import POINTS, Caught, at
from tests.chaos.testbed import LEASE, Testbed

WORKER, GROUP, PARENT = "worker", "group", "parent"
# The statement of a killed client goes on at the server, and commits after the kill.
IN_FLIGHT = "in flight"
GATED = ("initiation", "tier 3", "normalization", "enqueue", "delivery answered", "finish")
# After four workers and both clusters died within seconds, others have to start first.
DYING_TOGETHER = 8
Case = tuple[str, str, str]
CASES: list[Case] = [
    *product(POINTS, ("before", "after"), (WORKER, GROUP, PARENT)),
    *((point, IN_FLIGHT, WORKER) for point in GATED),
]
# The part that `make test` runs.
QUICK: list[Case] = [
    ("initiation", "before", WORKER),
    ("tier 1", "before", PARENT),
    ("tier 2", "after", WORKER),
    ("tier 3", "before", WORKER),
    ("normalization", IN_FLIGHT, WORKER),
    ("enqueue", "after", GROUP),
    ("delivery sent", "after", WORKER),
    ("delivery answered", "before", WORKER),
    ("finish", "before", WORKER),
]


def run(testbed: Testbed) -> None:
    """Kill at each point; each case must recover, and is audited, before the next one."""
    cases = list(CASES)
    testbed.chance.shuffle(cases)
    names = [f"s{number}" for number in range(len(cases))]
    testbed.configure(names, testbed.asking_tiers())
    audit = Audit(testbed)
    testbed.ready(testbed.cluster(), testbed.cluster())
    testbed.monitor.start()
    for name, case in zip(names, cases, strict=True):
        try:
            cycle, killed, fresh = _strike_at(testbed, name, case)
            testbed.recovered(cycle, killed)
            testbed.finish(cycle)
            violations = audit.look()
            if fresh is not None:
                testbed.ready(fresh)
        except Late as late:
            violations = [*audit.look(), str(late)]
        testbed.violations += [f"{', '.join(case)}: {violation}" for violation in violations]
        if violations:
            return  # the following cases would report the same violations


def quick(testbed: Testbed) -> None:
    """Some of the cases, without waiting for recovery in between; one audit at the end."""
    names = [f"s{number}" for number in range(len(QUICK))]
    testbed.configure(names, testbed.asking_tiers())
    testbed.ready(testbed.cluster(ORBIT_WORKERS="2"), testbed.cluster(ORBIT_WORKERS="2"), workers=2)
    testbed.monitor.start()
    kills = [_strike_at(testbed, name, case) for name, case in zip(names, QUICK, strict=True)]
    for cycle, killed, _ in kills:
        testbed.recovered(cycle, killed, within=LEASE + DYING_TOGETHER)
    testbed.settle()
    testbed.violations += Audit(testbed).look()


def _strike_at(testbed: Testbed, name: str, case: Case) -> tuple[UUID, float, Member | None]:
    """Kill at one point; return the cycle, the time, and the cluster that was started, if any."""
    point, moment, victim = case
    with at(testbed, point, after=moment == "after", run=name) as (caught, gate):
        fresh, killed = strike(testbed, caught, victim)
        if caught.waiter is not None and moment != IN_FLIGHT:
            gate.roll_back(caught.waiter)
    return caught.cycle, killed, fresh


def strike(testbed: Testbed, caught: Caught, victim: str) -> tuple[Member | None, float]:
    """Kill a cycle's worker or cluster; return the cluster started instead, and the time."""
    time.sleep(testbed.chance.choice((0, 0, 0.001, 0.003, 0.01)) if caught.waiter is None else 0)
    if victim == WORKER:
        return None, testbed.kill(caught.worker)
    member = testbed.member_of(caught.worker)
    member.children()
    if victim == PARENT:
        killed = testbed.kill(member.pid)
        until(
            lambda: not member.surviving_children(),
            LIMIT,
            f"children of the killed cluster live on: {member.surviving_children()}",
            every=0.001,
        )
    else:
        testbed.kills += 1
        member.send_group(signal.SIGKILL)
        killed = time.time()
    member.process.wait()
    return testbed.cluster(), killed


def moments(testbed: Testbed, last_ms: int = 300, step_ms: int = 10) -> None:
    """Kill the worker of a cycle 0, 10, 20 .. 300 ms after its trigger."""
    waits = list(range(0, last_ms + 1, step_ms))
    testbed.chance.shuffle(waits)
    names = [f"m{number}" for number in range(len(waits))]
    testbed.configure(names, testbed.asking_tiers())
    testbed.sink.delay = lambda entry: 0.04
    testbed.ready(testbed.cluster(ORBIT_WORKERS="2"), testbed.cluster(ORBIT_WORKERS="2"), workers=2)
    testbed.monitor.start()
    killed = {}
    for name, wait in zip(names, waits, strict=True):
        cycle = testbed.begin(name)
        time.sleep(wait / 1000)
        holder = testbed.holder(cycle)
        if holder is not None:
            killed[cycle] = testbed.kill(holder)
        # Workers that die soon after their start are replaced with growing delays.
        time.sleep(1.0)
    testbed.settle(LEASE + 30)
    for cycle, moment in killed.items():
        testbed.recovered(cycle, moment)
    testbed.violations += Audit(testbed).look()
