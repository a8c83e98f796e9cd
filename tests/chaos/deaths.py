"""Whole processes die: idle workers, supervisors, groups; and clusters that share a host name."""

import signal
import time

from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, Late, Member, until
from tests.chaos.points import ITEMS
from tests.chaos.sink import AFTER
from tests.chaos.testbed import Testbed

HEALED = 30.0
CHILDREN_END = 5.0


def idle_workers(testbed: Testbed, rounds: int = 3) -> None:
    """Kill idle workers one by one and all at once; the next cycle is done within 30 seconds."""
    names = [f"i{number}" for number in range(2 * rounds)]
    testbed.configure(names)
    member = testbed.cluster(ORBIT_WORKERS="2")
    testbed.ready(member, workers=2)
    testbed.monitor.start()
    for number, name in enumerate(names):
        testbed.ready(member, workers=2, seconds=LIMIT)
        workers = testbed.of(member, "worker")
        for pid in workers if number % 2 else workers[:1]:
            testbed.kill(pid)
        _next_cycle(testbed, name, HEALED)
    member.send(signal.SIGTERM)
    if member.code(LIMIT) != 0:
        testbed.violations.append("the cluster doesn't end in good order")
    testbed.violations += Audit(testbed).look()


def supervisor(testbed: Testbed, rounds: int = 2) -> None:
    """Kill the supervisor during a cycle: its children end, the next cluster goes on."""
    names = [f"p{number}" for number in range(rounds)]
    testbed.configure(names)
    testbed.monitor.start()
    for name in names:
        _behead(testbed, name)
    testbed.violations += Audit(testbed).look()


def _behead(testbed: Testbed, name: str) -> None:
    member = testbed.cluster(ORBIT_WORKERS="2")
    testbed.ready(member, workers=2)
    with testbed.sink.hold(AFTER, lambda entry: True) as hold:
        cycle = testbed.begin(name)
        until(lambda: len(hold.came) == ITEMS, LIMIT, "nothing was sent")
        member.children()
        killed = testbed.kill(member.pid)
        member.process.wait()
        until(
            lambda: not member.surviving_children(),
            LIMIT,
            "children of the killed supervisor live on",
            every=0.005,
        )
        seconds = time.time() - killed
        testbed.notes.append(f"children ended after {seconds:.2f} s")
        testbed.promise(seconds, CHILDREN_END, "the children of the killed supervisor to end")
    # No other cluster runs. The next one takes a while to start.
    following = testbed.cluster()
    testbed.finish(cycle)
    following.end()


def group_term(testbed: Testbed) -> None:
    """SIGTERM to a group whose cycle can't end, then SIGKILL, as a service manager does."""
    testbed.configure(["quick", "long"], testbed.asking_tiers())
    first, second = testbed.cluster(ORBIT_DRAIN_SECONDS="1"), testbed.cluster()
    testbed.ready(first, second)
    testbed.monitor.start()
    with testbed.sink.hold(AFTER, lambda entry: not entry.tier) as hold:
        cycle = testbed.begin("long")
        until(lambda: len(hold.came) == ITEMS, LIMIT, "nothing was sent")
        holder = testbed.holder(cycle)
        busy, other = (first, second) if holder in first.children() else (second, first)
        busy.send_group(signal.SIGTERM)
        until(
            lambda: testbed.value(
                "SELECT draining FROM orbit_clusternode WHERE pid = %s", busy.pid
            ),
            LIMIT,
            "the cluster doesn't report that it drains",
        )
        _next_cycle(testbed, "quick", HEALED, tiers_only=True)
        if busy.alive:
            testbed.kills += 1
            busy.send_group(signal.SIGKILL)
        busy.process.wait()
        until(lambda: not busy.surviving_children(), LIMIT, "children of the killed group live on")
    testbed.settle()
    if testbed.holder(cycle) is not None or not other.alive:
        testbed.violations.append("the other cluster didn't take the cycle over")
    testbed.violations += Audit(testbed).look()


def _next_cycle(testbed: Testbed, name: str, seconds: float, *, tiers_only: bool = False) -> None:
    """Run a cycle; it must end, or pass its tiers, within ``seconds``."""
    began = time.monotonic()
    cycle = testbed.begin(name)
    past_tiers = (
        "SELECT 1 FROM orbit_cyclecheckpoint WHERE cycle_id = %s AND stage = 'dispatch_enqueued'"
    )
    until(
        lambda: testbed.query(past_tiers, cycle) if tiers_only else testbed.ended(cycle),
        LIMIT,
        f"the next cycle {cycle} isn't done",
    )
    testbed.recoveries.append(time.monotonic() - began)
    testbed.promise(testbed.recoveries[-1], seconds, f"the next cycle {cycle} to go on")


def one_host(testbed: Testbed) -> None:
    """Two clusters on one host: two rows, different owners, each resumes cycles of the other."""
    names = [f"h{number}" for number in range(6)]
    testbed.configure(names, testbed.asking_tiers())
    members = [testbed.cluster(), testbed.cluster()]
    testbed.ready(*members)
    testbed.monitor.start()
    rows = testbed.query("SELECT host, count(*) FROM orbit_clusternode GROUP BY 1")
    if [count for _, count in rows] != [2]:
        testbed.violations.append(f"the clusters of one host show as {rows}")
    for name in names:
        _take_over(testbed, name)
    owners = testbed.value("SELECT count(DISTINCT worker) FROM orbit_deliveryreceipt")
    if owners < 3:
        testbed.violations.append(
            f"only {owners} workers delivered: no cycle was resumed by another one"
        )
    testbed.violations += Audit(testbed).look()


def _take_over(testbed: Testbed, name: str) -> None:
    earlier_keys = {entry.key for entry in testbed.sink.journal}
    with testbed.sink.hold(
        AFTER, lambda entry: not entry.tier and entry.key not in earlier_keys
    ) as hold:
        cycle = testbed.begin(name)
        until(lambda: len(hold.came) == ITEMS, LIMIT, "nothing was sent")
        killed = testbed.kill(testbed.carrier(cycle))
    testbed.recovered(cycle, killed)
    testbed.finish(cycle)


def wait_for_exit(member: Member) -> None:
    """Wait until a terminated cluster has ended with 0. Raises Late."""
    if member.code(LIMIT) != 0:
        raise Late(f"the cluster {member.pid} ended with {member.process.returncode}")
