"""A host's wall clock jumps by days, back and forth, while its cluster works."""

import time

from tests.chaos.audit import Audit
from tests.chaos.fleet import LIMIT, until
from tests.chaos.testbed import LEASE, Testbed

DAY = 86400
RESUMED = "SELECT count(*) FROM orbit_cyclerun WHERE resumes > 0"
# The tolerance is wide: a reading of the clock is up to a second old. Only ids of version 7 hold a
# time; events of periodic work have others.
MISPLACED = """SELECT count(*) FROM (
    SELECT partition_key AS id, created_at FROM orbit_executionrecord
    UNION ALL SELECT id, created_at FROM orbit_executionrecord
    UNION ALL SELECT id, occurred_at FROM telemetry_telemetryevent) AS row
WHERE abs(extract(epoch FROM created_at)
    - ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) > 300
  AND substr(id::text, 15, 1) = '7'"""
IN_DEFAULT = """SELECT (SELECT count(*) FROM orbit_recordgroup_default)
    + (SELECT count(*) FROM orbit_cyclecheckpoint_default)
    + (SELECT count(*) FROM telemetry_telemetryevent_default)"""
REPORTED = "SELECT clock_ahead_seconds FROM orbit_clusternode WHERE pid = %s"


def jump(testbed: Testbed, cycles: int = 12) -> None:
    """The clock of a cluster's host jumps by days, by a year and to 1970, and comes back."""
    ahead = testbed.folder / "ahead"
    ahead.write_text("0")
    names = [f"c{number}" for number in range(cycles)]
    testbed.configure(names, testbed.asking_tiers())
    wrong = testbed.cluster(program=("-m", "tests.support.wrong_clock", str(ahead)))
    testbed.ready(wrong)
    testbed.monitor.start()
    for days in (9.0, 400.0, -70.0, 60 / DAY - time.time() / DAY, 0.0):
        ahead.write_text(str(days * DAY))
        for name in names:
            testbed.begin(name)
        until(
            lambda seconds=days * DAY: abs(testbed.value(REPORTED, wrong.pid) - seconds) < 60,
            LIMIT,
            f"the cluster doesn't report a clock that is {days:.0f} days ahead",
        )
        testbed.settle(LEASE + 40)
    for what, query in (
        ("cycles were resumed", RESUMED),
        ("rows have the time of a wrong clock", MISPLACED),
        ("rows are in a DEFAULT partition", IN_DEFAULT),
    ):
        if number := testbed.value(query):
            testbed.violations.append(f"clock: {number} {what}")
    testbed.violations += Audit(testbed).look()
