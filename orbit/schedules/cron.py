"""Cron expressions: when they fire, and the key of each tick.

Fixed hours follow the local clock: the doubled hour of autumn fires once, the missing hour of
spring at the next valid minute. With ``*`` or ``*/n`` every matching minute fires.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from governance.kernel.errors import Kind, OrbitError

# The rarest cron, 29 February, fires every four or eight years.
_FARTHEST = timedelta(days=366 * 9)


class CronInvalid(OrbitError):
    """This is not a cron expression of five fields that ever fires."""

    code, kind = "invalid_cron", Kind.INVALID


def occurrences(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Yield when ``cron`` fires after ``after``, in UTC. Raises CronInvalid."""
    if len(cron.split()) != 5:
        raise CronInvalid(f"{cron!r} has not five fields: minute, hour, day, month, weekday.")
    last = after
    try:
        for moment in CronSim(cron, after.astimezone(ZoneInfo(zone))):
            # In the hour that comes twice cronsim yields times that have fired already.
            if moment.astimezone(UTC) > last:
                last = moment.astimezone(UTC)
                yield last
    except (CronSimError, AssertionError, TypeError, ValueError) as error:
        raise CronInvalid(f"{cron!r} is not a cron expression: {error}.") from error
    raise CronInvalid(f"{cron!r} doesn't fire within fifty years.")


def next_after(cron: str, zone: str, after: datetime) -> datetime:
    """Return when ``cron`` fires next after ``after``. Raises CronInvalid."""
    return next(occurrences(cron, zone, after))


def tick_key(cron: str, zone: str, moment: datetime) -> str:
    """Return a tick's key, the same on every cluster."""
    minute, hour = cron.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}Z"
    # The hour that comes twice has one local time, so one key.
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


def upcoming(cron: str, zone: str, after: datetime, number: int) -> list[datetime]:
    """Return up to ``number`` times. Raises CronInvalid if there is none."""
    times: list[datetime] = []
    try:
        times.extend(islice(occurrences(cron, zone, after), number))
    except CronInvalid:
        if not times:
            raise
    return times


def latest(
    cron: str, zone: str, until: datetime, *, since: datetime | None = None
) -> datetime | None:
    """Return when ``cron`` fired last after ``since``, at most nine years back, or None."""
    # The window grows: never walk through a year of minutes.
    window, farthest = timedelta(hours=1), max(since or until - _FARTHEST, until - _FARTHEST)
    while True:
        start = max(farthest, until - window)
        times = list(takewhile(lambda moment: moment <= until, occurrences(cron, zone, start)))
        if times or start == farthest:
            return times[-1] if times else None
        window *= 20
