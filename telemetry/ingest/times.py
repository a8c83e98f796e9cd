"""Times of events: ISO 8601 with a zone, neither too old nor in the future."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from telemetry.ingest.verdicts import Code, EventInvalid, quoted

#: Partitions are made on demand for this long back, in UTC days.
OLDEST = timedelta(days=400)
#: A clock may be a day ahead; a partition for tomorrow and the day after is there.
MOST_AHEAD = timedelta(days=2)

# The same on every Python version; what these digits mean, fromisoformat says.
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:[Zz]|([+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
# The usual way to write UTC.
_USUAL = re.compile(r"((\d{4}-\d\d-\d\dT\d\d:\d\d):[0-5]\d(?:\.\d{1,6})?)(?:Z|\+00:00)", re.ASCII)
_MOST_MINUTES = 10_000
_HOW = "Send ISO 8601 with a zone, such as 2026-01-01T00:00:00Z or 2026-01-01T01:00:00+01:00"


@dataclass(frozen=True, slots=True)
class Window:
    """The times that are accepted."""

    first: datetime
    last: datetime
    #: Minutes as they are written, that are wholly in the window, with their days.
    minutes: dict[str, date] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def at(cls, now: datetime) -> "Window":
        """Return the window of an ingest that begins at ``now``, the database's time."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(today - OLDEST, now + MOST_AHEAD)


def read(value: object, window: Window) -> tuple[str, date]:
    """Return the time in UTC as text, and its day. Raises EventInvalid."""
    match = _USUAL.fullmatch(value) if isinstance(value, str) else None
    if match and (day := window.minutes.get(match[2])):
        return f"{match[1]}+00:00", day
    moment = _read(value, window)
    if match:
        _remember(match[2], window)
    return moment.isoformat(), moment.date()


def _remember(written: str, window: Window) -> None:
    minute = datetime.fromisoformat(f"{written}:00Z")
    if window.first <= minute and minute + timedelta(minutes=1) <= window.last:
        if len(window.minutes) >= _MOST_MINUTES:
            window.minutes.clear()
        window.minutes[written] = minute.date()


def _read(value: object, window: Window) -> datetime:
    moment = _moment(value)
    if moment < window.first:
        raise EventInvalid(
            Code.TOO_OLD,
            f"`occurred_at` is {quoted(value)}; events before {window.first:%Y-%m-%d} "
            f"({OLDEST.days} days ago) aren't accepted.",
        )
    if moment > window.last:
        raise EventInvalid(
            Code.IN_FUTURE,
            f"`occurred_at` is {quoted(value)}, more than {MOST_AHEAD.days} days ahead. "
            "Set the clock of the sender.",
        )
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _moment(value: object) -> datetime:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise EventInvalid(Code.INVALID_TIME, f"`occurred_at` is {quoted(value)}. {_HOW}.")
    text = match[0]
    if match[1] is None and text[-1] not in "Zz":
        raise EventInvalid(
            Code.INVALID_TIME, f"`occurred_at` is {quoted(value)}, which has no zone. {_HOW}."
        )
    try:
        return datetime.fromisoformat(_plain(text))
    except ValueError as error:
        raise EventInvalid(
            Code.INVALID_TIME, f"`occurred_at` is {quoted(value)}: {_why(text, error)}. {_HOW}."
        ) from None


def _plain(text: str) -> str:
    return text.upper().replace(",", ".")


def _why(text: str, error: ValueError) -> str:
    if text[16:19] == ":60":
        return "a leap second can't be stored, send second 59"
    if "offset" in str(error):
        return "its offset from UTC is a day or more"
    return str(error)
