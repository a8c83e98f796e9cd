"""Drop the days that are older than the retention; archive them first, if that is on.

Each call of ``step`` is one short transaction. Ingest of other days never waits for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from psycopg.errors import DeadlockDetected, LockNotAvailable

from governance.kernel import sql
from telemetry import database, days
from telemetry.models import TelemetryDay
from telemetry.retention import archive, reading

Phase = TelemetryDay.Phase

#: A day is dropped if its archive was read back within this time.
VERIFIED_SECONDS = 600
#: Readings that one step deletes, of each kind.
STEP_READINGS = 5000

OLD_DAYS = database.load(__name__, "old_days")
COUNT_EVENTS = database.load(__name__, "count_events")
HAS_EVENTS = database.load(__name__, "has_events")
UNVERIFIED = database.load(__name__, "unverified_archives")
DROP_DAY = database.load(__name__, "drop_day")
PRUNE_READINGS = database.load(
    __name__,
    "prune_readings",
    has_reading=sql.fragment(__name__, "has_reading"),
    chosen=sql.fragment(__name__, "chosen_readings"),
)


class State(StrEnum):
    """What a step of a day came to."""

    BEGUN = "begun"
    """Its archive begins, for the first time or anew."""
    WORKING = "working"
    BUSY = "busy"
    """A lock is held by others, or another process works on the day."""
    DROPPED = "dropped"
    REFUSED = "refused"
    """It can't be dropped without losing events; an operator must look."""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of a step; ``note`` says what an operator should know."""

    state: State
    note: str = ""


@dataclass(frozen=True, slots=True)
class OldDay:
    """A day that is due, for a dry run."""

    day: date
    events: int
    archived: bool


def old_days() -> list[date]:
    """Return the days that are due, oldest first."""
    retention = settings.ORBIT_TELEMETRY_RETENTION_DAYS
    return [day for (day,) in OLD_DAYS.rows(retention=retention)]


def plan() -> list[OldDay]:
    """Count the events of the days that are due."""
    due = old_days()
    archived = set(
        _days().filter(day__in=due, phase=archive.Phase.ARCHIVED).values_list("day", flat=True)
    )
    return [OldDay(day, COUNT_EVENTS.rows(day=day)[0][0], day in archived) for day in due]


def step(day: date, beat: Callable[[], object] = lambda: None) -> Step:
    """Do the next step of ``day``. ``beat`` is called now and then in a long one."""
    state = _days().filter(day=day).first()
    if state is not None and state.dropped_at is not None:
        return _drop_again(day)
    if not settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED:
        return _drop(day, allowed=_forget_unfinished)
    match Phase.OPEN if state is None else state.phase:
        case Phase.OPEN:
            return Step(State.BEGUN if archive.begin(day) else State.WORKING)
        case Phase.FILLING:
            if archive.fill(day) is None:
                return _taken(day, Phase.FILLING)
        case Phase.COMPARING:
            compared = archive.compare(day)
            if compared is None:
                return _taken(day, Phase.COMPARING)
            return Step(State.WORKING, compared.difference)
        case _:
            return _verify_or_drop(day, beat)
    return Step(State.WORKING)


def prune_readings() -> int:
    """Delete some of the readings of dropped days; return how many, 0 at the end."""
    retention = settings.ORBIT_TELEMETRY_RETENTION_DAYS
    ((deleted,),) = PRUNE_READINGS.rows(retention=retention, limit=STEP_READINGS)
    return int(deleted)


def _taken(day: date, phase: str) -> Step:
    """Tell a day that another process works on from one that got an event."""
    if _days().filter(day=day, phase=phase).exists():
        return Step(State.BUSY, "another process archives it")
    return Step(State.WORKING)


def _verify_or_drop(day: date, beat: Callable[[], object]) -> Step:
    unverified = UNVERIFIED.rows(day=day, seconds=VERIFIED_SECONDS)
    if not unverified:
        return _drop(day, allowed=_is_archived)
    ((first,), *_) = unverified
    unchecked = reading.archives(day).filter(pk=first).first()
    verdict = None if unchecked is None else reading.verify(unchecked, beat)
    if verdict is not None and verdict.problem:
        # The day is still there: it is archived again.
        archive.reopen(day)
        return Step(State.WORKING, verdict.problem)
    return Step(State.WORKING)


def _drop(day: date, *, allowed: Callable[[date], bool]) -> Step:
    try:
        with transaction.atomic(using=database.ALIAS):
            days.own(day)
            if not allowed(day):
                return Step(State.WORKING)
            DROP_DAY.one(day=day)
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
            raise
        return Step(State.BUSY, "a backup or another long reader holds the events")
    return Step(State.DROPPED)


def _is_archived(day: date) -> bool:
    # An event may have come since the last step, or another process was faster.
    return archive.LOCK_DAY.one(day=day, phase=Phase.ARCHIVED) is not None and not UNVERIFIED.rows(
        day=day, seconds=2 * VERIFIED_SECONDS
    )


def _forget_unfinished(day: date) -> bool:
    # Archives that were begun before archiving was switched off.
    archive.DELETE.execute(day=day, unverified_only=True)
    return True


def _drop_again(day: date) -> Step:
    """Drop a partition that came back, such as one that an old backup brought."""
    if settings.ORBIT_TELEMETRY_COLD_ARCHIVE_ENABLED and HAS_EVENTS.one(day=day) == (True,):
        return Step(State.REFUSED, "it was dropped before and holds events again")
    return _drop(day, allowed=lambda day: True)


def _days() -> QuerySet[TelemetryDay]:
    return TelemetryDay.objects.using(database.ALIAS)
