"""The window that a computation looks at, and the baseline before it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from governance.kernel import clock
from governance.kernel.errors import Kind, OrbitError

#: The usual lengths. If telemetry keeps less, the window gets a quarter of that, the baseline the
#: rest.
WINDOW, BASELINE = timedelta(days=7), timedelta(days=21)
#: A caller's clock may be ahead of the database's by so much.
_TOLERATED = timedelta(seconds=clock.TOLERATED_SECONDS)


class WindowInvalid(OrbitError):
    """This window can't be computed."""

    code, kind = "invalid_window", Kind.INVALID


@dataclass(frozen=True, slots=True)
class Window:
    """The window is [start, end), the baseline [baseline_start, start)."""

    baseline_start: datetime
    start: datetime
    end: datetime
    #: When it was chosen: later events are in the future.
    now: datetime


def usual() -> timedelta:
    """Return the length of a window for which no other was asked."""
    return min(WINDOW, timedelta(days=settings.ORBIT_TELEMETRY_RETENTION_DAYS) / 4)


def choose(
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    baseline_start: datetime | None = None,
) -> Window:
    """Return the window, with the usual lengths for what is None.

    Raises WindowInvalid if it is empty, in the future, or longer than telemetry keeps events.
    """
    now = clock.read()
    kept = timedelta(days=settings.ORBIT_TELEMETRY_RETENTION_DAYS)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - kept
    if end is not None and end > now + _TOLERATED:
        raise _invalid("/to", f"{_text(end)} is in the future: now it is {_text(now)}")
    end = now if end is None else min(end, now)
    if start is not None and start < first:
        raise _invalid("/from", _gone(start, first, kept))
    if end <= first:
        raise _invalid("/to", _gone(end, first, kept))
    start = max(first, end - usual()) if start is None else start
    if start >= end:
        raise _invalid("/to", f"the window is empty: it begins {_text(start)}, ends {_text(end)}")
    if baseline_start is None:
        return Window(max(first, start - BASELINE), start, end, now)
    if baseline_start < first:
        raise _invalid("/baseline_from", _gone(baseline_start, first, kept))
    if baseline_start > start:
        raise _invalid("/baseline_from", f"the baseline begins after the window, {_text(start)}")
    return Window(baseline_start, start, end, now)


def _gone(moment: datetime, first: datetime, kept: timedelta) -> str:
    return (
        f"{_text(moment)} is before {_text(first)}: telemetry keeps {kept.days} days "
        "(ORBIT_TELEMETRY_RETENTION_DAYS)"
    )


def _invalid(pointer: str, detail: str) -> WindowInvalid:
    return WindowInvalid(
        f"This window can't be computed: {detail}.", errors=[{"pointer": pointer, "detail": detail}]
    )


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
