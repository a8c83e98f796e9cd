"""Whole processes die: idle workers, supervisors, groups; and clusters that share a host name."""

import signal
import time

from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, Late, Member, until
from tests.chaos.points import ITEMS
from tests.chaos.sink import AFTER
from tests.chaos.stand import Stand

HEALED = 30.0
ORPHANS = 5.0


def idle_workers(stand: Stand, rounds: int = 3) -> None:
    """Kill idle workers one by one and all at once; the next cycle is done within 30 seconds."""
    names = [f"i{number}" for number in range(2 * rounds)]
    stand.configure(names)
    member = stand.cluster(ORBIT_WORKERS="2")
    stand.ready(member, workers=2)
    stand.monitor.start()
    for number, name in enumerate(names):
        stand.ready(member, workers=2, seconds=LIMIT)
        workers = stand.of(member, "worker")
        for pid in workers if number % 2 else workers[:1]:
            stand.kill(pid)
        _next_cycle(stand, name, HEALED)
    member.send(signal.SIGTERM)
    if member.code(LIMIT) != 0:
        stand.violations.append("the cluster doesn't end in good order")
    stand.violations += Audit(stand).look()


def supervisor(stand: Stand, rounds: int = 2) -> None:
    """Kill the supervisor during a cycle: its children end, the next cluster goes on."""
    names = [f"p{number}" for number in range(rounds)]
    stand.configure(names)
    stand.monitor.start()
    for name in names:
        _behead(stand, name)
    stand.violations += Audit(stand).look()


def _behead(stand: Stand, name: str) -> None:
    member = stand.cluster(ORBIT_WORKERS="2")
    stand.ready(member, workers=2)
    with stand.sink.hold(AFTER, lambda entry: True) as hold:
        cycle = stand.begin(name)
        until(lambda: len(hold.came) == ITEMS, LIMIT, "nothing was sent")
        member.children()
        killed = stand.kill(member.pid)
        member.process.wait()
        until(
            lambda: not member.surviving_children(),
            LIMIT,
            "children of the killed supervisor live on",
            every=0.005,
        )
        seconds = time.time() - killed
        stand.notes.append(f"children ended after {seconds:.2f} s")
        stand.promise(seconds, ORPHANS, "the children of the killed supervisor to end")
    # No other cluster runs. The next one takes a while to start.
    following = stand.cluster()
    stand.finish(cycle)
    following.end()


def group_term(stand: Stand) -> None:
    """SIGTERM to a group whose cycle can't end, then SIGKILL, as a service manager does."""
    stand.configure(["quick", "long"], stand.asking_tiers())
    first, second = stand.cluster(ORBIT_DRAIN_SECONDS="1"), stand.cluster()
    stand.ready(first, second)
    stand.monitor.start()
    with stand.sink.hold(AFTER, lambda entry: not entry.tier) as hold:
        cycle = stand.begin("long")
        until(lambda: len(hold.came) == ITEMS, LIMIT, "nothing was sent")
        holder = stand.holder(cycle)
        busy, other = (first, second) if holder in first.children() else (second, first)
        busy.send_group(signal.SIGTERM)
        until(
            lambda: stand.one("SELECT draining FROM orbit_clusternode WHERE pid = %s", busy.pid),
            LIMIT,
            "the cluster doesn't report that it drains",
        )
        _next_cycle(stand, "quick", HEALED, tiers_only=True)
        if busy.alive:
            stand.kills += 1
            busy.send_group(signal.SIGKILL)
        busy.process.wait()
        until(lambda: not busy.surviving_children(), LIMIT, "children of the killed group live on")
    stand.settle()
    if stand.holder(cycle) is not None or not other.alive:
        stand.violations.append("the other cluster didn't take the cycle over")
    stand.violations += Audit(stand).look()


def _next_cycle(stand: Stand, name: str, seconds: float, *, tiers_only: bool = False) -> None:
    """Run a cycle; it must end, or pass its tiers, within ``seconds``."""
    began = time.monotonic()
    cycle = stand.begin(name)
    past_tiers = (
        "SELECT 1 FROM orbit_cyclecheckpoint WHERE cycle_id = %s AND stage = 'dispatch_enqueued'"
    )
    until(
        lambda: stand.query(past_tiers, cycle) if tiers_only else stand.ended(cycle),
        LIMIT,
        f"the next cycle {cycle} isn't done",
    )
    stand.recoveries.append(time.monotonic() - began)
    stand.promise(stand.recoveries[-1], seconds, f"the next cycle {cycle} to go on")


def one_host(stand: Stand) -> None:
    """Two clusters on one host: two rows, different owners, each resumes cycles of the other."""
    names = [f"h{number}" for number in range(6)]
    stand.configure(names, stand.asking_tiers())
    members = [stand.cluster(), stand.cluster()]
    stand.ready(*members)
    stand.monitor.start()
    rows = stand.query("SELECT host, count(*) FROM orbit_clusternode GROUP BY 1")
    if [count for _, count in rows] != [2]:
        stand.violations.append(f"the clusters of one host show as {rows}")
    for name in names:
        _take_over(stand, name)
    owners = stand.one("SELECT count(DISTINCT worker) FROM orbit_deliveryreceipt")
    if owners < 3:
        stand.violations.append(
            f"only {owners} workers delivered: no cycle was resumed by another one"
        )
    stand.violations += Audit(stand).look()


def _take_over(stand: Stand, name: str) -> None:
    earlier_keys = {entry.key for entry in stand.sink.journal}
    with stand.sink.hold(
        AFTER, lambda entry: not entry.tier and entry.key not in earlier_keys
    ) as hold:
        cycle = stand.begin(name)
        until(lambda: len(hold.came) == ITEMS, LIMIT, "nothing was sent")
        killed = stand.kill(stand.carrier(cycle))
    stand.recovered(cycle, killed)
    stand.finish(cycle)


def wait_for_exit(member: Member) -> None:
    """Wait until a terminated cluster has ended with 0. Raises Late."""
    if member.code(LIMIT) != 0:
        raise Late(f"the cluster {member.pid} ended with {member.process.returncode}")
