"""Where clocks change, and what that does to schedules: "02:30 happens twice on 25 October"."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from orbit.schedules.cron import CronInvalid, next_after, occurrences
from orbit.schedules.plan import Schedule

_STEP = timedelta(minutes=30)
_LISTED = 3


@dataclass(frozen=True, slots=True)
class ClockChange:
    """At ``at`` the clocks of ``zone`` go from ``before`` to ``after`` (local, without zone)."""

    zone: str
    at: datetime
    before: datetime
    after: datetime

    @property
    def repeats(self) -> bool:
        """Whether an hour comes twice; else it is left out."""
        return self.after < self.before


def between(zone: str, since: datetime, until: datetime) -> list[ClockChange]:
    """Return the changes of ``zone`` from ``since`` to ``until``, to half an hour."""
    changes, info = [], ZoneInfo(zone)
    moment = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while moment < until:
        later = moment + _STEP
        before, after = (at.astimezone(info).utcoffset() for at in (moment, later))
        if before is not None and after is not None and before != after:
            local = later.replace(tzinfo=None)
            changes.append(ClockChange(zone, later, local + before, local + after))
        moment = later
    return changes


def notes(schedules: Iterable[Schedule], since: datetime, until: datetime) -> list[str]:
    """Return a sentence for each local time of ``schedules`` that comes twice or not at all."""
    changes: dict[str, list[ClockChange]] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for schedule in schedules:
        if schedule.time_zone not in changes:
            changes[schedule.time_zone] = between(schedule.time_zone, since, until)
        for change in changes[schedule.time_zone]:
            for sentence in _sentences(schedule, change):
                names.setdefault(sentence, []).append(schedule.name)
    return [f"{what}: {_listed(rows)} {runs}." for (what, runs), rows in names.items()]


def _sentences(schedule: Schedule, change: ClockChange) -> Iterator[tuple[str, str]]:
    minute, hour = schedule.cron.split()[:2]
    each = minute.startswith("*") or hour.startswith("*")
    if each and not change.repeats:
        return  # every matching minute that exists
    first, end = sorted((change.before, change.after))
    day = f"{change.before:%A} {change.before.day} {change.before:%B} ({change.zone})"
    for local in _local_times(schedule.cron, first, end):
        if not change.repeats:
            runs = next_after(schedule.cron, schedule.time_zone, change.at - timedelta(minutes=1))
            at = runs.astimezone(ZoneInfo(schedule.time_zone))
            yield f"{local:%H:%M} doesn't exist on {day}", f"at {at:%H:%M}"
        else:
            yield f"{local:%H:%M} happens twice on {day}", "twice" if each else "once"
        if each:
            return


def _local_times(cron: str, first: datetime, end: datetime) -> list[datetime]:
    # As if the zone had no offset: the local clock's times.
    start = first.replace(tzinfo=UTC)
    times = occurrences(cron, "UTC", start - timedelta(minutes=1))
    try:
        return list(takewhile(lambda moment: moment < end.replace(tzinfo=UTC), times))
    except CronInvalid:
        return []


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more} {'run' if len(names) > 1 else 'runs'}"
