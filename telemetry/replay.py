"""Replay: read stored and archived events again, day by day.

A day is one transaction that owns the day. It deletes what was read from the day's events and reads
them again, in slices; so a crash leaves whole days, and no process holds a day in memory. Tasks
have events of many days: their rows aren't deleted, and events that were merged change nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from django.db import transaction

from governance.kernel.errors import OrbitError
from telemetry import database, days, staging
from telemetry.consumers import projection, registry
from telemetry.models import TelemetryDay
from telemetry.retention import reading

#: Of one replay. The log takes events of the last 400 days; archives may be older.
MOST_DAYS = 4000
SLICE = 10_000

UNBOUNDED = database.load(__name__, "unbounded")
FORGET_DAY = database.load(__name__, "forget_day")
STAGE_STORED = database.load(__name__, "stage_stored")
LAST_STAGED = database.load(__name__, "last_staged")
LAST_LOST = database.load(__name__, "last_lost_day")
FIRST_AND_LAST = database.load(__name__, "first_and_last_day")

#: Called for each slice with its day and the number of its events.
Report = Callable[[date, int], None]


class RangeInvalid(OrbitError):
    """The range of days is invalid."""

    code = "invalid_range"


class Skipped(StrEnum):
    """Why a day was not replayed. What was read from its events before stays."""

    DROPPED = "dropped"
    """Its events are gone, and there is no archive."""
    ARCHIVED = "archived"
    """Its events are in the archive only, and the archive wasn't asked for."""


@dataclass(slots=True)
class Result:
    """What a replay did."""

    days: int = 0
    events: int = 0
    skipped: dict[date, Skipped] = field(default_factory=dict)


def replay(
    first: date, last: date, *, archive: bool = False, report: Report = lambda day, events: None
) -> Result:
    """Read the events of ``first`` to ``last`` again. Raises RangeInvalid and ArchiveDamaged.

    ``archive``: also days that were dropped, from their archives.
    """
    result = Result()
    for day in _range(first, last):
        with transaction.atomic(using=database.ALIAS):
            UNBOUNDED.rows()
            outcome = _replay(day, archive, report)
        if isinstance(outcome, Skipped):
            result.skipped[day] = outcome
        elif outcome:
            result.days += 1
            result.events += outcome
    return result


def rebuild(report: Report = lambda day, events: None) -> Result:
    """Project all tasks again, from the stored and archived events; then tasks without events go.

    Ingest goes on meanwhile. A row waits as ``pending`` until its events are read again. What only
    the authority knows is missing afterwards: reconcile brings it. After a crash, rebuild again.
    Tasks with events of days that were dropped without an archive stay.
    """
    ((lost,),) = LAST_LOST.rows()
    projection.reset(lost)
    result = Result()
    ((first, last),) = FIRST_AND_LAST.rows()
    if first is not None:
        for day in _range(first, last):
            with transaction.atomic(using=database.ALIAS):
                UNBOUNDED.rows()
                events = _project(day, report)
            result.days += events > 0
            result.events += events
    projection.forget()
    return result


def _range(first: date, last: date) -> list[date]:
    if first > last:
        raise RangeInvalid(f"The range ends ({last}) before it begins ({first}).")
    count = (last - first).days + 1
    if count > MOST_DAYS:
        raise RangeInvalid(f"The range has {count} days; at most {MOST_DAYS} at once.")
    return [first + timedelta(days=number) for number in range(count)]


def _replay(day: date, archive: bool, report: Report) -> int | Skipped:
    days.own(day)
    is_dropped = _is_dropped(day)
    if is_dropped and not reading.archives(day).exists():
        return Skipped.DROPPED
    if is_dropped and not archive:
        return Skipped.ARCHIVED
    FORGET_DAY.execute(day=day)
    # Tasks are put aside until the end: see projection.consume_replayed.
    instead = {projection.consume: projection.consume_replayed}
    return _read(day, is_dropped, lambda: registry.consume(instead), report)


def _project(day: date, report: Report) -> int:
    # Not owned: the projection counts nothing, so events may be added meanwhile.
    days.keep(day)
    return _read(day, _is_dropped(day), projection.consume_replayed, report)


def _is_dropped(day: date) -> bool:
    stored = TelemetryDay.objects.using(database.ALIAS)
    return stored.filter(day=day, dropped_at__isnull=False).exists()


def _read(day: date, is_dropped: bool, consume: Callable[[], None], report: Report) -> int:
    staging.prepare()
    projection.prepare_replay()
    events = 0
    for count in _archived(day) if is_dropped else _stored(day):
        consume()
        staging.empty()
        events += count
        report(day, count)
    projection.merge_replayed()
    return events


def _stored(day: date) -> Iterator[int]:
    """Put the next events of ``day`` into the staging table; yield how many."""
    at, id = None, None
    while count := STAGE_STORED.execute(day=day, after_at=at, after_id=id, limit=SLICE):
        ((at, id),) = LAST_STAGED.rows()
        yield count


def _archived(day: date) -> Iterator[int]:
    # The order within a namespace is that of the day; no result depends on more.
    for archive in reading.archives(day):
        for lines in reading.blocks(archive):
            yield reading.stage(lines)
