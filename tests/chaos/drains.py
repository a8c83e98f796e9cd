"""Drains: running cycles end or are given back at once, and no retry is spent."""

import signal
import time
from uuid import UUID

from tests.chaos.audit import Audit
from tests.chaos.deaths import wait_for_exit
from tests.chaos.fleet import LIMIT, Member, until
from tests.chaos.points import ITEMS
from tests.chaos.sink import AFTER
from tests.chaos.testbed import Testbed

GOES_ON = 1.0
SPENT = "SELECT count(*) FROM orbit_dispatchjob WHERE spent > 0"
STATE = "SELECT lease_owner, fencing_token FROM orbit_cyclerun WHERE id = %s"


def drain(testbed: Testbed) -> None:
    """Drain a cluster with two long cycles, one in a tier and one in its deliveries."""
    testbed.configure(["tier", "delivery", "new"], testbed.asking_tiers())
    first = testbed.cluster(ORBIT_LEASE_SECONDS="60", ORBIT_DRAIN_SECONDS="2")
    testbed.ready(first)
    testbed.monitor.start()
    with (
        testbed.sink.hold(AFTER, lambda entry: entry.tier == 2) as tier,
        testbed.sink.hold(AFTER, lambda entry: not entry.tier) as delivery,
    ):
        in_tier = testbed.begin("tier")
        until(lambda: tier.came, LIMIT, "no tier sent a request")
        keys = {entry.key for entry in tier.came}
        tier.matches = lambda entry: entry.tier == 2 and entry.key in keys
        in_delivery = testbed.begin("delivery")
        until(lambda: len(delivery.came) == ITEMS, LIMIT, "nothing was sent")
        second = testbed.cluster(ORBIT_LEASE_SECONDS="60", ORBIT_DRAIN_SECONDS="2")
        testbed.ready(second)
        stopped = time.monotonic()
        first.send(signal.SIGTERM)
        until(
            lambda: testbed.value(
                "SELECT draining FROM orbit_clusternode WHERE pid = %s", first.pid
            ),
            LIMIT,
            "the cluster doesn't report that it drains",
        )
        new = testbed.begin("new")
        until(
            lambda: testbed.query("SELECT 1 FROM orbit_cyclecheckpoint WHERE cycle_id = %s", new),
            LIMIT,
            "the new cycle did not start",
        )
        if testbed.holder(new) in first.children():
            testbed.violations.append("the draining cluster took a new cycle")
        # The tier ends in time, and its cycle is given back after it. The deliveries don't end:
        # their cycle is given back when the time is up.
        tier.release()
        for cycle in (in_tier, in_delivery):
            _goes_on(testbed, cycle, first, stopped + 2 + 3)
        wait_for_exit(first)
    testbed.notes.append(f"the drained cluster ended after {time.monotonic() - stopped:.1f} s")
    testbed.settle(30)
    testbed.violations += Audit(testbed).look()


def _goes_on(testbed: Testbed, cycle: UUID, first: Member, deadline: float) -> None:
    """Wait until ``first`` gives ``cycle`` back; another worker takes it within a second."""
    own_pids = set(first.children())

    def given_back() -> bool:
        holder = testbed.holder(cycle)
        return holder is None or holder not in own_pids

    until(
        given_back, max(0.1, deadline - time.monotonic()), f"{cycle} isn't given back", every=0.002
    )
    given_back_at = time.monotonic()
    until(
        lambda: testbed.ended(cycle) or testbed.holder(cycle),
        LIMIT,
        f"no worker resumes {cycle}",
        every=0.002,
    )
    testbed.recoveries.append(time.monotonic() - given_back_at)
    if testbed.recoveries[-1] > GOES_ON:
        testbed.violations.append(
            f"drain: {cycle} went on {testbed.recoveries[-1]:.2f} s after it was given back"
        )


def rolling_restart(testbed: Testbed, rounds: int = 2, cycles: int = 12) -> None:
    """Restart two clusters in turn: every delivery succeeds at its first attempt."""
    names = [f"u{number}" for number in range(2 * rounds * cycles)]
    testbed.configure(names, testbed.asking_tiers())
    testbed.sink.delay = lambda entry: testbed.chance.choice((0, 0.02, 0.2))
    members = [testbed.cluster(ORBIT_DRAIN_SECONDS="20"), testbed.cluster(ORBIT_DRAIN_SECONDS="20")]
    testbed.ready(*members)
    testbed.monitor.start()
    waiting = iter(names)
    for number in range(2 * rounds):
        old = members[number % 2]
        for step in range(cycles):
            testbed.begin(next(waiting))
            time.sleep(0.05)
            if step == cycles // 3:
                old.send(signal.SIGTERM)
        wait_for_exit(old)
        members[number % 2] = testbed.cluster(ORBIT_DRAIN_SECONDS="20")
        testbed.ready(members[number % 2])
    testbed.settle(30)
    if spent := testbed.value(SPENT):
        testbed.violations.append(f"{spent} jobs spent a retry")
    if failed := testbed.value(
        "SELECT count(*) FROM orbit_deliveryreceipt WHERE status <> 'delivered'"
    ):
        testbed.violations.append(f"{failed} attempts were not delivered")
    testbed.violations += Audit(testbed).look()
