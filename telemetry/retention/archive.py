"""Write the archive of a day, in steps of a part of a second.

Each step is a transaction that leaves its position in ``TelemetryDay``, so a crash between two
steps loses nothing and repeats nothing, and two processes that archive one day share the steps.
``days.share`` opens the day again for a transaction that adds events to it: then all begins anew.
"""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256

from django.db import transaction
from django.db.models.functions import Now

from governance.kernel import sql
from telemetry import database, days
from telemetry.models import TelemetryDay

Phase = TelemetryDay.Phase

#: Of a step. A chunk is at most so large before compression, plus one event.
STEP_EVENTS, STEP_BYTES = 10_000, 4 * 1024 * 1024

_LINE = sql.fragment(__name__, "event_line")
_DAY_EVENTS = sql.fragment(__name__, "day_events", event_line=_LINE)
NEXT_LINES = database.load(__name__, "next_lines", day_events=_DAY_EVENTS)
COMPARE_LINES = database.load(__name__, "compare_lines", day_events=_DAY_EVENTS)
LOCK_DAY = database.load(__name__, "lock_day")
BEGIN = database.load(__name__, "begin_archive")
DELETE = database.load(__name__, "delete_archives")
ADD_CHUNKS = database.load(__name__, "add_chunks")
TOTALS = database.load(__name__, "archived_totals")


@dataclass(slots=True)
class _Chunk:
    lines: list[bytes] = field(default_factory=list)
    digest: int = 0

    def add(self, line: bytes) -> None:
        self.lines.append(line + b"\n")
        self.digest += digest_of(line)


def digest_of(line: bytes) -> int:
    """Return a number of 64 bits; their sum is a day's digest, whatever the order."""
    return int.from_bytes(sha256(line).digest()[:8], "big", signed=True)


def begin(day: date) -> int:
    """Wait for those who add events of ``day`` just now; make it one that is archived.

    Returns 0 if another process was faster.
    """
    with transaction.atomic(using=database.ALIAS):
        days.own(day)
        if begun := BEGIN.execute(day=day):
            DELETE.execute(day=day, unverified_only=False)
        return begun


def fill(day: date) -> int | None:
    """Archive the next events of ``day``. Returns how many; None if another process works on it."""
    with transaction.atomic(using=database.ALIAS):
        position = LOCK_DAY.one(day=day, phase=Phase.FILLING)
        if position is None:
            return None
        rows = NEXT_LINES.rows(
            day=day,
            after_at=position[0],
            after_id=position[1],
            most=STEP_EVENTS,
            bytes=STEP_BYTES,
        )
        if not rows:
            _move(day, Phase.COMPARING, position_at=None, position_id=None)
            return 0
        _add_chunks(day, ((namespace, line) for namespace, _, _, line in rows))
        _move(day, Phase.FILLING, position_at=rows[-1][1], position_id=rows[-1][2])
        return len(rows)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A step of comparing: how many events; and at the end, whether archive and day differ."""

    events: int
    difference: str = ""


def compare(day: date) -> Comparison | None:
    """Compare the next events of ``day`` with its archive. None: another process works on it."""
    with transaction.atomic(using=database.ALIAS):
        position = LOCK_DAY.one(day=day, phase=Phase.COMPARING)
        if position is None:
            return None
        at, id_, counted, counted_digest = position
        ((count, digest, last_at, last_id),) = COMPARE_LINES.rows(
            day=day, after_at=at, after_id=id_, most=STEP_EVENTS
        )
        if count:
            _move(
                day,
                Phase.COMPARING,
                position_at=last_at,
                position_id=last_id,
                event_count=counted + count,
                digest=counted_digest + digest,
            )
            return Comparison(count)
        ((archived, archived_digest),) = TOTALS.rows(day=day)
        if (archived, archived_digest) == (counted, counted_digest):
            _move(day, Phase.ARCHIVED, archived_at=Now())
            return Comparison(0)
        _move(day, Phase.OPEN)
        return Comparison(
            0, f"the archive held {archived} events and the day {counted}: it is archived again"
        )


def reopen(day: date) -> None:
    """Have ``day`` archived anew, because its archive is damaged."""
    TelemetryDay.objects.using(database.ALIAS).filter(day=day, dropped_at=None).update(
        phase=Phase.OPEN, archived_at=None
    )


def _move(day: date, phase: str, **columns: object) -> None:
    TelemetryDay.objects.using(database.ALIAS).filter(day=day).update(phase=phase, **columns)


def _add_chunks(day: date, lines: Iterable[tuple[str | None, str]]) -> None:
    chunks: dict[str | None, _Chunk] = {}
    for namespace, line in lines:
        chunks.setdefault(namespace, _Chunk()).add(line.encode())
    # A later zlib may compress otherwise; what is compared is the lines.
    texts = [b"".join(chunk.lines) for chunk in chunks.values()]
    ADD_CHUNKS.send(
        day=day,
        namespaces=list(chunks),
        chunks=[gzip.compress(text, compresslevel=6, mtime=0) for text in texts],
        counts=[len(chunk.lines) for chunk in chunks.values()],
        hashes=[sha256(text).hexdigest() for text in texts],
        digests=[Decimal(chunk.digest) for chunk in chunks.values()],
    )
