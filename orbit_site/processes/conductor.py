"""Fans out and aggregates, on a thread of the maintenance process.

A fan-out of a million children takes a while.
"""

from orbit.conductor import aggregate, fanout, upkeep
from orbit_site.processes.background import Background

#: So often an idle thread looks for work.
IDLE_SECONDS = 0.5
#: A round has a bounded number of statements. One that takes longer is given up.
ROUND_SECONDS = 120.0
#: Passes of a round: after so many a fan-out has its turn.
PASSES = 10


def conductor() -> Background:
    """Return the thread, not started."""
    failure = "Can't fan out and aggregate conductor tasks"
    return Background("conductor", failure, _work, longest_round=ROUND_SECONDS)


def _work(_: Background) -> float:
    waits = upkeep.look()
    fanned_out = waits.fanout and fanout.run_fanout_once().did_something
    # A fan-out leaves tallies, whether any waited before or not.
    goes_on = (waits.aggregate or fanned_out) and aggregate.run_aggregate_once(
        passes=PASSES
    ).goes_on
    return 0.0 if fanned_out or goes_on else IDLE_SECONDS
