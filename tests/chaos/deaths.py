"""Deaths of whole processes: idle workers, the supervisor, the group at the end of its drain; and two clusters that share a host name."""

import signal
import time

from tests.chaos.audit import Audit
from tests.chaos.fleet import Late, Member, until
from tests.chaos.points import ITEMS
from tests.chaos.sink import AFTER
from tests.chaos.stand import LEASE, Stand

HEALED = 30.0
ORPHANS = 5.0


def idle_workers(stand: Stand, rounds: int = 3) -> None:
    """Each idle worker of the only cluster is killed, then all at once; the next cycle is done within half a minute, and SIGTERM still stops."""
    names = [f"i{number}" for number in range(2 * rounds)]
    stand.configure(names)
    member = stand.cluster(ORBIT_WORKERS="2")
    stand.ready(member, workers=2)
    stand.monitor.start()
    for number, name in enumerate(names):
        stand.ready(member, workers=2, seconds=HEALED)
        workers = stand.of(member, "worker")
        for pid in workers if number % 2 else workers[:1]:
            stand.kill(pid)
        _next_cycle(stand, name, HEALED)
    member.send(signal.SIGTERM)
    if member.code(20) != 0:
        stand.violations.append("the cluster doesn't end in good order")
    stand.violations += Audit(stand).look()


def supervisor(stand: Stand, rounds: int = 2) -> None:
    """The supervisor is killed with a cycle under way: no child outlives it by five seconds, and the next cluster goes on."""
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
        until(lambda: len(hold.came) == ITEMS, 10, "nothing was sent")
        member.children()
        killed = stand.kill(member.pid)
        member.process.wait()
        until(
            lambda: not member.orphans(),
            ORPHANS,
            "children of the killed supervisor live on",
            every=0.005,
        )
        stand.notes.append(f"children gone after {time.time() - killed:.2f} s")
    # Only the next cluster is left, which takes a while to start.
    following = stand.cluster()
    stand.finish(cycle, 20)
    following.end()


def group_term(stand: Stand) -> None:
    """SIGTERM to the whole group with a cycle that can't end, then SIGKILL to the group at the end of its time, as a service manager does it."""
    stand.configure(["quick", "long"], stand.asking_tiers())
    first, second = stand.cluster(ORBIT_DRAIN_SECONDS="1"), stand.cluster()
    stand.ready(first, second)
    stand.monitor.start()
    with stand.sink.hold(AFTER, lambda entry: not entry.tier) as hold:
        cycle = stand.begin("long")
        until(lambda: len(hold.came) == ITEMS, 10, "nothing was sent")
        holder = stand.holder(cycle)
        busy, other = (first, second) if holder in first.children() else (second, first)
        busy.send_group(signal.SIGTERM)
        until(
            lambda: stand.one("SELECT draining FROM orbit_clusternode WHERE pid = %s", busy.pid),
            3,
            "the cluster doesn't say that it drains",
        )
        _next_cycle(stand, "quick", 5, tiers_only=True)
        if busy.alive:
            stand.kills += 1
            busy.send_group(signal.SIGKILL)
        busy.process.wait()
        until(lambda: not busy.orphans(), ORPHANS, "children of the killed group live on")
    stand.settle(LEASE + 15)
    if stand.holder(cycle) is not None or not other.alive:
        stand.violations.append("the other cluster didn't take the cycle over")
    stand.violations += Audit(stand).look()


def _next_cycle(stand: Stand, name: str, seconds: float, *, tiers_only: bool = False) -> None:
    """Run a cycle; it must be done (or past its tiers) within ``seconds``."""
    began = time.monotonic()
    cycle = stand.begin(name)
    enough = (
        "SELECT 1 FROM orbit_cyclecheckpoint WHERE cycle_id = %s AND stage = 'dispatch_enqueued'"
    )
    until(
        lambda: stand.query(enough, cycle) if tiers_only else stand.ended(cycle),
        seconds,
        f"the next cycle {cycle} isn't done",
    )
    stand.recoveries.append(time.monotonic() - began)


def one_host(stand: Stand) -> None:
    """Two clusters share host name and database (they always do here): two rows, owners that differ, each takes over from the other."""
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
        stand.violations.append(f"only {owners} workers delivered: no other worker resumed")
    stand.violations += Audit(stand).look()


def _take_over(stand: Stand, name: str) -> None:
    known = {entry.key for entry in stand.sink.journal}
    with stand.sink.hold(AFTER, lambda entry: not entry.tier and entry.key not in known) as hold:
        cycle = stand.begin(name)
        until(lambda: len(hold.came) == ITEMS, 10, "nothing was sent")
        killed = stand.kill(stand.carrier(cycle))
    stand.recovered(cycle, killed)
    stand.finish(cycle, 10)


def gone(member: Member) -> None:
    """Wait for a cluster that was told to end. Raises Late."""
    if member.code(30) != 0:
        raise Late(f"the cluster {member.pid} ended with {member.process.returncode}")
