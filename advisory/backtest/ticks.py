"""The ticks on record under another cron."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from advisory.backtest.changes import Cron
from advisory.backtest.result import Ticks
from governance.kernel import sql
from orbit.schedules import cron as crons
from orbit.schedules.rows import OF_RUN_PROFILE

#: Of more ticks the newest are compared, and of more times none: a cron fires each minute at most.
MOST_TICKS, MOST_TIMES = 2_000, 20_000

READ_TICKS = sql.load(__name__, "read_ticks")


@dataclass(frozen=True, slots=True)
class ComparedTicks:
    """The ticks, and which of them the new cron would not have had."""

    ticks: Ticks
    #: By tick: whether it would have been due at the same time.
    kept: Mapping[UUID, bool]
    since: datetime
    #: The new cron fires too often in this time to be compared.
    too_many: bool = False

    @property
    def fewer(self) -> int:
        """How many ticks fewer there would have been."""
        return max(0, self.ticks.gone - self.ticks.new)


@dataclass(frozen=True, slots=True)
class TickRows:
    """The ticks of a schedule in a time, newest first, as read."""

    rows: Sequence[tuple[UUID, datetime]]
    since: datetime
    until: datetime


def read(run_profile_id: str, *, since: datetime, until: datetime) -> TickRows:
    """Read the ticks of a run profile's own schedule."""
    schedule = OF_RUN_PROFILE + run_profile_id
    rows = READ_TICKS.rows(schedule=schedule, since=since, until=until, most=MOST_TICKS)
    return TickRows(rows, rows[-1][1] if len(rows) == MOST_TICKS else since, until)


def compare(read: TickRows, new: Cron) -> ComparedTicks:
    """Compare the ticks with those that ``new`` would have had."""
    times = _times(new, read.since, read.until)
    recorded = {due_at for _, due_at in read.rows}
    if len(times) > MOST_TIMES:
        ticks = Ticks(len(recorded), 0, 0, 0)
        return ComparedTicks(ticks, {}, read.since, too_many=True)
    return ComparedTicks(
        Ticks(
            recorded=len(recorded),
            kept=len(recorded & times),
            gone=len(recorded - times),
            new=len(times - recorded),
        ),
        {tick_id: due_at in times for tick_id, due_at in read.rows},
        read.since,
    )


def _times(new: Cron, since: datetime, until: datetime) -> set[datetime]:
    times: set[datetime] = set()
    if not new.cron:
        return times
    fired = crons.occurrences(new.cron, new.time_zone, since - timedelta(seconds=1))
    with contextlib.suppress(crons.CronInvalid):  # it doesn't fire any more
        for moment in fired:
            if moment > until or len(times) > MOST_TIMES:
                break
            times.add(moment)
    return times
