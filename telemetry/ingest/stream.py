"""Ingest a stream: cut it, check each event, store batches, report what became of each.

A bad event never sinks its batch; each batch is there whole or not at all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import DataError, IntegrityError

from telemetry.ingest import batch, event_json, limits
from telemetry.ingest.batch import Outcome
from telemetry.ingest.shape import Sender
from telemetry.ingest.splitting import PAUSE, Piece, pieces
from telemetry.ingest.unpacking import TooMuch, Unreadable
from telemetry.ingest.verdicts import Code, EventInvalid, Rejection

#: One transaction has at most so many events and bytes.
BATCH_EVENTS, BATCH_BYTES = 5_000, 4 * 1024 * 1024
_DROPPED = "The day of `occurred_at` was archived and dropped; it takes no more events."


@dataclass(slots=True)
class Batch:
    """Checked events for one transaction, and those that were rejected on the way."""

    lines: list[bytes] = field(default_factory=list)
    days: list[date] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    places: list[tuple[int, int | None]] = field(default_factory=list)  # index, line
    rejected: list[Rejection] = field(default_factory=list)
    size: int = 0  # bytes
    #: Why nothing could be read after this batch.
    broken: str = ""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was read."""
        return not (self.lines or self.rejected)

    @property
    def is_full(self) -> bool:
        """Tell whether it is time to store it."""
        events = len(self.lines) + len(self.rejected)
        return events >= BATCH_EVENTS or self.size >= BATCH_BYTES


@dataclass(slots=True)
class Report:
    """What became of the events."""

    accepted: int = 0
    duplicate: int = 0
    rejected_count: int = 0
    #: The first ``limits.MOST_REJECTIONS``.
    rejected: list[Rejection] = field(default_factory=list)
    broken: str = ""

    @property
    def read(self) -> int:
        """Return how many events were read."""
        return self.accepted + self.duplicate + self.rejected_count

    def add(self, other: "Report") -> None:
        """Add the report of a later part."""
        self.accepted += other.accepted
        self.duplicate += other.duplicate
        self.rejected_count += other.rejected_count
        self.rejected.extend(other.rejected[: limits.MOST_REJECTIONS - len(self.rejected)])
        self.broken = self.broken or other.broken

    def to_dict(self) -> dict[str, Any]:
        """Return the contract's answer."""
        return {
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "rejected": [
                {"index": item.index, "code": str(item.code), "detail": item.detail}
                for item in self.rejected
            ],
            "rejected_count": self.rejected_count,
        }


def receive(
    chunks: Iterable[bytes],
    *,
    sender: Sender,
    is_lines: bool = False,
    most_events: int | None = None,
) -> Report:
    """Ingest UTF-8 bytes: NDJSON, a JSON array or one object.

    After ``most_events`` no more are read. Raises what the database raises; then the batches before
    are stored, and sending everything again adds what is missing.
    """
    report, is_fresh = Report(), True
    for part in batches(
        chunks, sender_now=lambda: sender, is_lines=is_lines, most_events=most_events
    ):
        done = store(part, is_fresh=is_fresh)
        is_fresh = not done.duplicate
        report.add(done)
    return report


def batches(
    chunks: Iterable[bytes],
    *,
    sender_now: Callable[[], Sender],
    is_lines: bool = False,
    most_events: int | None = None,
) -> Iterator[Batch]:
    """Return the checked events in batches; needs no database.

    An empty chunk ends a batch. A stream may last for weeks, so each batch has a sender of its own.
    """
    part, sender, index = Batch(), sender_now(), 0
    try:
        for piece in pieces(chunks, is_lines=is_lines):
            if piece is not PAUSE:
                if index == most_events:
                    raise TooMuch(
                        f"More than {most_events:,} events. Send the rest in another request"
                    )
                _take(part, index, piece, sender)
                index += 1
                if not part.is_full:
                    continue
            if not part.is_empty:
                yield part
            part, sender = Batch(), sender_now()
    except Unreadable as error:
        code = Code.TOO_LARGE if isinstance(error, TooMuch) else Code.INVALID_JSON
        part.broken = f"{error}."
        part.rejected.append(Rejection(index, code, part.broken))
    if not part.is_empty:
        yield part


def store(part: Batch, *, is_fresh: bool = True) -> Report:
    """Store a batch; return what became of its events.

    ``is_fresh``: the batch before had no duplicates, so this one has probably none.
    """
    report = Report(
        rejected_count=len(part.rejected), rejected=list(part.rejected), broken=part.broken
    )
    _store(report, part, slice(None), is_fresh)
    report.rejected.sort(key=lambda item: item.index)
    return report


def _take(part: Batch, index: int, piece: Piece, sender: Sender) -> None:
    try:
        if piece.problem is not None:
            raise piece.problem
        line, day, name = event_json.read(piece.raw, sender)
    except EventInvalid as error:
        part.rejected.append(Rejection(index, error.code, error.detail, piece.line))
        return
    part.lines.append(line)
    part.days.append(day)
    part.names.append(name)
    part.places.append((index, piece.line))
    part.size += len(line)


def _store(report: Report, part: Batch, span: slice, is_fresh: bool) -> None:
    lines, places = part.lines[span], part.places[span]
    if not lines:
        return
    try:
        outcomes = batch.store_lines(lines, part.days[span], part.names[span], is_fresh=is_fresh)
    except (DataError, IntegrityError) as error:
        if len(lines) == 1:
            _reject(report, places[0], Code.INVALID_FIELD, f"The database refuses it: {error}")
            return
        # We know of no event that fits the shape and that the database refuses. If there is one,
        # it doesn't sink the others.
        start = span.start or 0
        half = start + len(lines) // 2
        _store(report, part, slice(start, half), is_fresh)
        _store(report, part, slice(half, start + len(lines)), is_fresh)
        return
    report.accepted += outcomes.count(Outcome.ACCEPTED)
    report.duplicate += outcomes.count(Outcome.DUPLICATE)
    for place, outcome in zip(places, outcomes, strict=True):
        if outcome is Outcome.TOO_OLD:
            _reject(report, place, Code.TOO_OLD, _DROPPED)


def _reject(report: Report, place: tuple[int, int | None], code: Code, detail: str) -> None:
    report.rejected_count += 1
    report.rejected.append(Rejection(place[0], code, detail.splitlines()[0][:500], place[1]))
