"""SIGKILL at every point to the worker, its group or its supervisor; and at every moment."""

import signal
import time
from itertools import product
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, Late, Member, until
from tests.chaos.points import POINTS, Caught, at
from tests.chaos.stand import LEASE, Stand

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


def run(stand: Stand) -> None:
    """Kill at each point; each case must recover, and is audited, before the next one."""
    cases = list(CASES)
    stand.chance.shuffle(cases)
    names = [f"s{number}" for number in range(len(cases))]
    stand.configure(names, stand.asking_tiers())
    audit = Audit(stand)
    stand.ready(stand.cluster(), stand.cluster())
    stand.monitor.start()
    for name, case in zip(names, cases, strict=True):
        try:
            cycle, killed, fresh = _strike_at(stand, name, case)
            stand.recovered(cycle, killed)
            stand.finish(cycle)
            violations = audit.look()
            if fresh is not None:
                stand.ready(fresh)
        except Late as late:
            violations = [*audit.look(), str(late)]
        stand.violations += [f"{', '.join(case)}: {violation}" for violation in violations]
        if violations:
            return  # the following cases would report the same violations


def quick(stand: Stand) -> None:
    """Some of the cases, without waiting for recovery in between; one audit at the end."""
    names = [f"s{number}" for number in range(len(QUICK))]
    stand.configure(names, stand.asking_tiers())
    stand.ready(stand.cluster(ORBIT_WORKERS="2"), stand.cluster(ORBIT_WORKERS="2"), workers=2)
    stand.monitor.start()
    kills = [_strike_at(stand, name, case) for name, case in zip(names, QUICK, strict=True)]
    for cycle, killed, _ in kills:
        stand.recovered(cycle, killed, within=LEASE + DYING_TOGETHER)
    stand.settle()
    stand.violations += Audit(stand).look()


def _strike_at(stand: Stand, name: str, case: Case) -> tuple[UUID, float, Member | None]:
    """Kill at one point; return the cycle, the time, and the cluster that was started, if any."""
    point, moment, victim = case
    with at(stand, point, after=moment == "after", run=name) as (caught, gate):
        fresh, killed = strike(stand, caught, victim)
        if caught.waiter is not None and moment != IN_FLIGHT:
            gate.roll_back(caught.waiter)
    return caught.cycle, killed, fresh


def strike(stand: Stand, caught: Caught, victim: str) -> tuple[Member | None, float]:
    """Kill a cycle's worker or cluster; return the cluster started instead, and the time."""
    time.sleep(stand.chance.choice((0, 0, 0.001, 0.003, 0.01)) if caught.waiter is None else 0)
    if victim == WORKER:
        return None, stand.kill(caught.worker)
    member = stand.member_of(caught.worker)
    member.children()
    if victim == PARENT:
        killed = stand.kill(member.pid)
        until(
            lambda: not member.surviving_children(),
            LIMIT,
            f"children of the killed cluster live on: {member.surviving_children()}",
            every=0.001,
        )
    else:
        stand.kills += 1
        member.send_group(signal.SIGKILL)
        killed = time.time()
    member.process.wait()
    return stand.cluster(), killed


def moments(stand: Stand, last_ms: int = 300, step_ms: int = 10) -> None:
    """Kill the worker of a cycle 0, 10, 20 .. 300 ms after its trigger."""
    waits = list(range(0, last_ms + 1, step_ms))
    stand.chance.shuffle(waits)
    names = [f"m{number}" for number in range(len(waits))]
    stand.configure(names, stand.asking_tiers())
    stand.sink.delay = lambda entry: 0.04
    stand.ready(stand.cluster(ORBIT_WORKERS="2"), stand.cluster(ORBIT_WORKERS="2"), workers=2)
    stand.monitor.start()
    killed = {}
    for name, wait in zip(names, waits, strict=True):
        cycle = stand.begin(name)
        time.sleep(wait / 1000)
        holder = stand.holder(cycle)
        if holder is not None:
            killed[cycle] = stand.kill(holder)
        # Workers that die soon after their start are replaced with growing delays.
        time.sleep(1.0)
    stand.settle(LEASE + 30)
    for cycle, moment in killed.items():
        stand.recovered(cycle, moment)
    stand.violations += Audit(stand).look()
