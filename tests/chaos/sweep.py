"""The sweep: SIGKILL at every point, before and after, to the worker, its whole group, and its supervisor; and at every moment in between."""

import signal
import time
from itertools import product
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.fleet import Late, Member, until
from tests.chaos.points import POINTS, Caught, at
from tests.chaos.stand import LEASE, Stand

WORKER, GROUP, PARENT = "worker", "group", "parent"
#: A statement whose client is gone runs on at the server: it commits after the kill.
IN_FLIGHT = "in flight"
GATED = ("initiation", "tier 3", "normalization", "enqueue", "delivery answered", "finish")
#: Where four workers and both clusters die within some seconds, others must be started before anything goes on.
DYING_TOGETHER = 8
Case = tuple[str, str, str]
CASES: list[Case] = [
    *product(POINTS, ("before", "after"), (WORKER, GROUP, PARENT)),
    *((point, IN_FLIGHT, WORKER) for point in GATED),
]
#: What `make test` does of it.
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
    """Kill at each point, before and after, whichever of the processes; each case has recovered, and is audited, before the next."""
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
            stand.finish(cycle, 30)
            found = audit.look()
            if fresh is not None:
                stand.ready(fresh)
        except Late as late:
            found = [*audit.look(), str(late)]
        stand.violations += [f"{', '.join(case)}: {violation}" for violation in found]
        if found:
            return  # whatever follows would be judged by what is broken already


def quick(stand: Stand) -> None:
    """A few of the cases, the next one before the last one has recovered; one audit of all at the end."""
    names = [f"s{number}" for number in range(len(QUICK))]
    stand.configure(names, stand.asking_tiers())
    stand.ready(stand.cluster(ORBIT_WORKERS="2"), stand.cluster(ORBIT_WORKERS="2"), workers=2)
    stand.monitor.start()
    struck = [_strike_at(stand, name, case) for name, case in zip(names, QUICK, strict=True)]
    for cycle, killed, _ in struck:
        stand.recovered(cycle, killed, within=LEASE + DYING_TOGETHER)
    stand.settle(30)
    stand.violations += Audit(stand).look()


def _strike_at(stand: Stand, name: str, case: Case) -> tuple[UUID, float, Member | None]:
    """Kill at one point; return the cycle, the moment, and the cluster that was started in place of one that is gone."""
    point, moment, victim = case
    with at(stand, point, after=moment == "after", run=name) as (caught, gate):
        fresh, killed = strike(stand, caught, victim)
        if caught.waiter is not None and moment != IN_FLIGHT:
            gate.roll_back(caught.waiter)
    return caught.cycle, killed, fresh


def strike(stand: Stand, caught: Caught, victim: str) -> tuple[Member | None, float]:
    """Kill the worker that carries a cycle, or its cluster; return the cluster started in its place, and the moment of the kill."""
    time.sleep(stand.chance.choice((0, 0, 0.001, 0.003, 0.01)) if caught.waiter is None else 0)
    if victim == WORKER:
        return None, stand.kill(caught.worker)
    member = stand.member_of(caught.worker)
    member.children()
    if victim == PARENT:
        killed = stand.kill(member.pid)
        until(
            lambda: not member.orphans(),
            5,
            f"children of the killed cluster live on: {member.orphans()}",
            every=0.001,
        )
    else:
        stand.kills += 1
        member.send_group(signal.SIGKILL)
        killed = time.time()
    member.process.wait()
    return stand.cluster(), killed


def moments(stand: Stand, last_ms: int = 300, step_ms: int = 10) -> None:
    """Trigger, wait 0, 10, 20 .. milliseconds, kill the worker of the cycle; kill the next one before it has recovered."""
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
        # Workers that die young are started again later and later: they are killed no faster than that.
        time.sleep(1.0)
    stand.settle(LEASE + 30)
    for cycle, moment in killed.items():
        stand.recovered(cycle, moment)
    stand.violations += Audit(stand).look()
