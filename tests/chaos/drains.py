"""Stopping in good order: what runs ends or is given back at once, others go on without waiting for a lease, and no retry is spent."""

import signal
import time
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.deaths import gone
from tests.chaos.fleet import Member, until
from tests.chaos.points import ITEMS
from tests.chaos.sink import AFTER
from tests.chaos.stand import Stand

GOES_ON = 1.0
SPENT = "SELECT count(*) FROM orbit_dispatchjob WHERE spent > 0"
STATE = "SELECT lease_owner, fencing_token FROM orbit_cyclerun WHERE id = %s"


def drain(stand: Stand) -> None:
    """Two long cycles in a cluster that is told to end, with a lease of a minute: one is in a tier and ends it, one is in its deliveries."""
    stand.configure(["tier", "delivery", "new"], stand.asking_tiers())
    first = stand.cluster(ORBIT_LEASE_SECONDS="60", ORBIT_DRAIN_SECONDS="2")
    stand.ready(first)
    stand.monitor.start()
    with (
        stand.sink.hold(AFTER, lambda entry: entry.tier == 2) as tier,
        stand.sink.hold(AFTER, lambda entry: not entry.tier) as delivery,
    ):
        one = stand.begin("tier")
        until(lambda: tier.came, 10, "no tier asks")
        keys = {entry.key for entry in tier.came}
        tier.wanted = lambda entry: entry.tier == 2 and entry.key in keys
        two = stand.begin("delivery")
        until(lambda: len(delivery.came) == ITEMS, 10, "nothing was sent")
        second = stand.cluster(ORBIT_LEASE_SECONDS="60", ORBIT_DRAIN_SECONDS="2")
        stand.ready(second)
        stopped = time.monotonic()
        first.send(signal.SIGTERM)
        until(
            lambda: stand.one("SELECT draining FROM orbit_clusternode WHERE pid = %s", first.pid),
            3,
            "the cluster doesn't say that it drains",
        )
        new = stand.begin("new")
        until(
            lambda: stand.query("SELECT 1 FROM orbit_cyclecheckpoint WHERE cycle_id = %s", new),
            3,
            "the new cycle isn't begun",
        )
        if stand.holder(new) in first.children():
            stand.violations.append("the draining cluster took a new cycle")
        # The tier ends in time: its cycle stops at the boundary behind it. The deliveries don't end: theirs is given back when time is up.
        tier.release()
        for cycle in (one, two):
            _goes_on(stand, cycle, first, stopped + 2 + 3)
        gone(first)
    stand.notes.append(f"the drained cluster was gone after {time.monotonic() - stopped:.1f} s")
    stand.settle(30)
    stand.violations += Audit(stand).look()


def _goes_on(stand: Stand, cycle: UUID, first: Member, deadline: float) -> None:
    """See the lease of ``cycle`` leave ``first``, and be taken by another worker within a second; or the cycle end there."""
    mine = set(first.children())

    def left() -> bool:
        holder = stand.holder(cycle)
        return holder is None or holder not in mine

    until(left, max(0.1, deadline - time.monotonic()), f"{cycle} isn't given back", every=0.002)
    given = time.monotonic()
    until(
        lambda: stand.ended(cycle) or stand.holder(cycle),
        GOES_ON + 5,
        f"no worker resumes {cycle}",
        every=0.002,
    )
    stand.recoveries.append(time.monotonic() - given)
    if stand.recoveries[-1] > GOES_ON:
        stand.violations.append(
            f"drain: {cycle} went on {stand.recoveries[-1]:.2f} s after it was given back"
        )


def rolling_restart(stand: Stand, rounds: int = 2, cycles: int = 12) -> None:
    """Two clusters are restarted in turn while cycles run: every delivery succeeds at its first attempt."""
    names = [f"u{number}" for number in range(2 * rounds * cycles)]
    stand.configure(names, stand.asking_tiers())
    stand.sink.delay = lambda entry: stand.chance.choice((0, 0.02, 0.2))
    members = [stand.cluster(ORBIT_DRAIN_SECONDS="20"), stand.cluster(ORBIT_DRAIN_SECONDS="20")]
    stand.ready(*members)
    stand.monitor.start()
    waiting = iter(names)
    for number in range(2 * rounds):
        old = members[number % 2]
        for step in range(cycles):
            stand.begin(next(waiting))
            time.sleep(0.05)
            if step == cycles // 3:
                old.send(signal.SIGTERM)
        gone(old)
        members[number % 2] = stand.cluster(ORBIT_DRAIN_SECONDS="20")
        stand.ready(members[number % 2])
    stand.settle(30)
    if spent := stand.one(SPENT):
        stand.violations.append(f"{spent} jobs spent a retry")
    if lost := stand.one("SELECT count(*) FROM orbit_deliveryreceipt WHERE status <> 'delivered'"):
        stand.violations.append(f"{lost} attempts weren't delivered at once")
    stand.violations += Audit(stand).look()
