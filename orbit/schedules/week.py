"""A week of schedules: what became of the past ticks, and when the next ones are due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import islice, takewhile
from uuid import UUID

from django.utils import timezone

from governance.kernel import sql
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit.models import RunProfile
from orbit.schedules import clock_changes
from orbit.schedules.cron import CronInvalid, occurrences
from orbit.schedules.listing import ScheduleSummary
from orbit.schedules.rows import OF_RUN_PROFILE

#: What a tick to come is called, beside the outcomes of ``Tick``.
COMING, HELD, OVERDUE = "coming", "held", "overdue"
_FARTHEST = timedelta(days=3660)
#: A schedule's past and coming ticks in a week, and the marks of an hour.
MOST_PAST, MOST_COMING, MOST_MARKS = 2_100, 170, 4
_CALM = {"started": 1, "due": 1, COMING: 2, HELD: 2}

WEEK_TICKS = sql.load(__name__, "week_ticks")


@dataclass(frozen=True, slots=True)
class Mark:
    """A schedule's ticks of one outcome in an hour; ``at`` is the newest, or the next."""

    schedule: str
    at: datetime
    outcome: str
    count: int = 1
    tick_id: UUID | None = None
    cycle_id: str | None = None
    why: str = ""
    #: Since when no cluster was alive (ISO), if that is why.
    away_since: str | None = None

    @property
    def label(self) -> str:
        """The schedule's name in a cell."""
        return self.schedule.removeprefix(OF_RUN_PROFILE)


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of a day."""

    day: date
    is_now: bool
    marks: Sequence[Mark]
    more: int


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days; hours without a tick are left out."""

    days: Sequence[date]
    today: date
    hours: Sequence[tuple[int, Sequence[Cell]]]
    #: What did not start: skipped, refused, missed, late and overdue.
    troubles: Sequence[Mark]
    notes: Sequence[str]
    previous: date | None
    next: date | None


def day_of(text: str) -> date | None:
    """Return the day that an address names, if any."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def week(schedules: Sequence[ScheduleSummary], day: date | None, *, now: datetime) -> Week:
    """Return the week of ``day`` (None: this one) in the current time zone."""
    zone, today = timezone.get_current_timezone(), timezone.localdate(now)
    bounds = today - _FARTHEST, today + _FARTHEST
    day = min(max(day or today, bounds[0]), bounds[1])
    monday = day - timedelta(days=day.weekday())
    days = [monday + timedelta(days=number) for number in range(7)]
    since, until = (_midnight(monday + timedelta(days=number), zone) for number in (0, 7))
    running = [schedule.row.schedule for schedule in schedules if schedule.next_due_at]
    marks = [*_past(schedules, since, until), *_coming(schedules, max(since, now), until, now)]
    return Week(
        days=days,
        today=today,
        hours=_hours(marks, days, zone, now),
        troubles=[mark for mark in marks if mark.outcome not in _CALM],
        notes=clock_changes.notes(running, since, until),
        previous=monday - timedelta(days=7) if monday > bounds[0] else None,
        next=monday + timedelta(days=7) if days[-1] < bounds[1] else None,
    )


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _past(schedules: Sequence[ScheduleSummary], since: datetime, until: datetime) -> list[Mark]:
    names = [schedule.row.name for schedule in schedules]
    rows = WEEK_TICKS.rows(names=names, since=since, until=until, most=MOST_PAST)
    return [Mark(*row) for row in rows]


def _coming(
    schedules: Sequence[ScheduleSummary], since: datetime, until: datetime, now: datetime
) -> Iterator[Mark]:
    ids = [schedule.run_profile_id for schedule in schedules]
    rows = RunProfile.objects.filter(run_profile_id__in=ids).only("run_profile_id", "namespace_id")
    namespaces = {row.run_profile_id: str(row.namespace_id) for row in rows}
    refusals = gate.refusals(set(namespaces.values()) | {""})
    for schedule in schedules:
        if schedule.overdue_since is not None:
            yield Mark(schedule.row.name, schedule.overdue_since, OVERDUE, why="No cluster came.")
        if not schedule.next_due_at:
            continue
        refusal = refusals.get(namespaces.get(schedule.run_profile_id, ""))
        planned = schedule.row.schedule
        times = occurrences(planned.cron, planned.time_zone, since)
        hourly: Mark | None = None
        for moment in _until(times, until):
            outcome = HELD if _is_held(refusal, moment) else COMING
            same_hour = hourly and hourly.at.replace(minute=0) == moment.replace(minute=0)
            if hourly is not None and same_hour and hourly.outcome == outcome:
                hourly = replace(hourly, count=hourly.count + 1)
                continue
            if hourly is not None:
                yield hourly
            hourly = Mark(schedule.row.name, moment, outcome, why=refusal.detail if refusal else "")
        if hourly is not None:
            yield hourly


def _until(times: Iterator[datetime], until: datetime) -> Iterator[datetime]:
    try:
        yield from takewhile(lambda moment: moment < until, islice(times, MOST_COMING))
    except CronInvalid:
        return


def _is_held(refusal: OrbitError | None, moment: datetime) -> bool:
    ends = refusal.extra.get("until") if refusal else None
    return refusal is not None and (ends is None or datetime.fromisoformat(ends) > moment)


def _hours(
    marks: Sequence[Mark], days: Sequence[date], zone: tzinfo, now: datetime
) -> list[tuple[int, list[Cell]]]:
    cells: dict[tuple[int, date], list[Mark]] = {}
    for mark in marks:
        local = mark.at.astimezone(zone)
        cells.setdefault((local.hour, local.date()), []).append(replace(mark, at=local))
    local_now = now.astimezone(zone)
    here = local_now.hour, local_now.date()
    return [
        (hour, [_cell(day, cells.get((hour, day), []), here == (hour, day)) for day in days])
        for hour in sorted({hour for hour, _ in cells})
    ]


def _cell(day: date, marks: list[Mark], is_now: bool) -> Cell:
    # What needs a look comes first, so that it is never among those left out.
    marks.sort(key=lambda mark: (_CALM.get(mark.outcome, 0), mark.at, mark.schedule))
    return Cell(day, is_now, marks[:MOST_MARKS], max(0, len(marks) - MOST_MARKS))
