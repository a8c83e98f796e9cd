"""Cron expressions: the moments at which they are true, through clock changes, and what each of these is called.

With fixed hours the arithmetic is local: the hour that comes twice in autumn fires once, the one that is missing in spring fires at the next
valid minute. With ``*`` or ``*/n`` in minute or hour every real minute counts.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from governance.kernel.errors import Kind, OrbitError

_FARTHEST = timedelta(days=366 * 9)


class CronInvalid(OrbitError):
    """This is no cron expression of five fields that ever comes true."""

    code, kind = "invalid_cron", Kind.INVALID


def occurrences(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the moments after ``after`` at which ``cron`` is true in ``zone``, in UTC, each later than the one before.

    Raises CronInvalid for anything but five fields, and for an expression that never comes true.
    """
    if len(cron.split()) != 5:
        raise CronInvalid(f"{cron!r} has not five fields: minute, hour, day, month, weekday.")
    last = after
    try:
        # With fixed hours the arithmetic is local: in the hour that comes twice it gives moments that are past. They had their turn.
        for moment in CronSim(cron, after.astimezone(ZoneInfo(zone))):
            if moment.astimezone(UTC) > last:
                last = moment.astimezone(UTC)
                yield last
    except (CronSimError, AssertionError, TypeError, ValueError) as error:
        raise CronInvalid(f"{cron!r} is no cron expression: {error}.") from error
    raise CronInvalid(f"{cron!r} doesn't come true within fifty years.")


def next_after(cron: str, zone: str, after: datetime) -> datetime:
    """Return the first moment after ``after`` at which ``cron`` is true. Raises CronInvalid."""
    return next(occurrences(cron, zone, after))


def tick_key(cron: str, zone: str, moment: datetime) -> str:
    """Return what names the tick of ``moment`` on every cluster: the local date-time, or the instant where minute or hour is a ``*``."""
    minute, hour = cron.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}Z"
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


def upcoming(cron: str, zone: str, after: datetime, number: int) -> list[datetime]:
    """Return the first ``number`` moments after ``after`` at which ``cron`` is true, fewer where there are no more. Raises CronInvalid."""
    found: list[datetime] = []
    try:
        found.extend(islice(occurrences(cron, zone, after), number))
    except CronInvalid:
        if not found:
            raise
    return found


def latest(
    cron: str, zone: str, until: datetime, *, since: datetime | None = None
) -> datetime | None:
    """Return the last moment until ``until``, and after ``since``, at which ``cron`` is true; None where there is none in nine years.

    It is looked for in a window that grows: a year of minutes is never walked through. Raises CronInvalid.
    """
    window, farthest = timedelta(hours=1), max(since or until - _FARTHEST, until - _FARTHEST)
    while True:
        start = max(farthest, until - window)
        found = list(takewhile(lambda moment: moment <= until, occurrences(cron, zone, start)))
        if found or start == farthest:
            return found[-1] if found else None
        window *= 20


def in_words(cron: str) -> str:
    """Return what ``cron`` means in English; the expression itself where that can't be said."""
    try:
        return CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)).explain()
    except (CronSimError, AssertionError, IndexError, ValueError):
        return cron
