"""Where a cron may move that fires in a busy minute."""

from dataclasses import dataclass

from advisory.proposals import facts
from advisory.proposals.facts import Minute
from governance.kernel import clock
from orbit.schedules import cron as crons

#: A minute is busy if the clock starts so many other run profiles in it.
LEAST_OTHERS = 5
#: A cron moves no further, and stays in its hour.
_FARTHEST = 15


@dataclass(frozen=True, slots=True)
class Move:
    """A cron that fires in a quieter minute of the same hour."""

    cron: str
    busy: Minute
    quiet: Minute


def away(cron: str, time_zone: str, run_profile: str) -> Move | None:
    """Return where ``cron`` may move; None if its minute isn't busy, or isn't a single one."""
    minute, _, rest = cron.partition(" ")
    if not minute.isdigit():
        return None
    # The minutes are counted in UTC, and some zones differ by half an hour.
    fires = crons.next_after(cron, time_zone, clock.now()).minute
    minutes = facts.busy_minutes(without=run_profile)
    busy = minutes[fires]
    if busy.run_profiles < LEAST_OTHERS:
        return None
    steps = [step for step in range(-_FARTHEST, _FARTHEST + 1) if 0 <= int(minute) + step <= 59]
    # The quietest; of equal ones the nearest, rather later.
    step = min(steps, key=lambda step: (minutes[(fires + step) % 60].cycles, abs(step), -step))
    quiet = minutes[(fires + step) % 60]
    if quiet.cycles * 2 > busy.cycles:
        return None
    return Move(f"{int(minute) + step} {rest}", busy, quiet)
