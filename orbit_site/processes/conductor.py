"""Fans out and aggregates, on a thread of the maintenance process.

A fan-out of a million children takes a while.
"""

import time

from orbit.conductor import aggregate, fanout, upkeep
from orbit_site.processes.background import IDLE_SECONDS, Background

#: So often the thread looks for work while tasks go on; then maintenance wakes it.
BUSY_SECONDS = 0.5
#: After so long without work it is idle.
LULL_SECONDS = 30.0
#: A round has a bounded number of statements. One that takes longer is given up.
ROUND_SECONDS = 120.0
#: Passes of a round: after so many a fan-out has its turn.
PASSES = 10


def conductor() -> Background:
    """Return the thread, not started."""
    failure = "Can't fan out and aggregate conductor tasks"
    return Background("conductor", failure, _Rounds().work, longest_round=ROUND_SECONDS)


class _Rounds:
    """What the thread does, and when it last had something to do."""

    def __init__(self) -> None:
        self._worked_at = float("-inf")

    def work(self, _: Background) -> float:
        """Do a round; return the seconds until the next one."""
        waits = upkeep.look()
        if waits.fanout or waits.aggregate:
            self._worked_at = time.monotonic()
        fanned_out = waits.fanout and fanout.run_fanout_once().did_something
        # A fan-out leaves tallies, whether any waited before or not.
        goes_on = (waits.aggregate or fanned_out) and aggregate.run_aggregate_once(
            passes=PASSES
        ).goes_on
        if fanned_out or goes_on:
            return 0.0
        is_busy = time.monotonic() - self._worked_at < LULL_SECONDS
        return BUSY_SECONDS if is_busy else IDLE_SECONDS
