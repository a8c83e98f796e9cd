"""The door to the event log: all Python code that writes events calls ``store``.

A batch is one transaction: lock the days, copy the events that no consumer reads into the log, the
others into the staging table, insert those of them that are new, let the consumers read them. If
one of the first is there already, all go by the staging table. After a crash the batch is there
whole or not at all; sending it again adds nothing, because a duplicate is the same
(id, occurred_at).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import DatabaseError, IntegrityError, transaction
from psycopg import errors

from governance.kernel import clock, pg_text, routing
from governance.kernel.identifiers import uuid7
from telemetry import database, days, partitions, staging
from telemetry.consumers import registry
from telemetry.events import COLUMNS, Level, Row
from telemetry.ingest import copy_text

INSERT_NEW = database.load(__name__, "insert_new")
_STAGE = f"COPY telemetry_staging (ordinal, {', '.join(COLUMNS)}) FROM STDIN"
_APPEND = f"COPY telemetry_telemetryevent ({', '.join(COLUMNS)}) FROM STDIN"
#: A line begins with its id.
_ID = slice(36)
#: A batch that lost a deadlock, or whose partition was just being made, is tried again.
_TRIES = 4


class Outcome(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    TOO_OLD = "too_old"


def event(
    name: str,
    *,
    metadata: dict[str, Any] | None = None,
    session_id: str | None = None,
    task_id: str | None = None,
    namespace: str | None = None,
    profile_id: str | None = None,
    run_id: UUID | None = None,
    stage: str | None = None,
    level: str = Level.INFO,
    duration_ms: float | None = None,
    occurred_at: datetime | None = None,
    id: UUID | None = None,
) -> Row:
    """Return an event for ``store``, with a new UUIDv7 and the database's time by default.

    Nothing is checked: the caller is ours. Text that PostgreSQL can't hold is cleaned.
    """
    return (
        id or uuid7(),
        occurred_at or clock.now(),
        name,
        namespace,
        profile_id,
        run_id,
        _clean(session_id),
        _clean(task_id),
        _clean(stage),
        level,
        duration_ms,
        metadata or {},
    )


def store(rows: Sequence[Row]) -> list[Outcome]:
    """Store events in one transaction and let the consumers read the new ones.

    Returns what became of each. Inside of a transaction it joins it (and holds its days until the
    end of it). Raises what the database raises; then nothing is stored.
    """
    if not rows:
        return []
    lines = [copy_text.line(row) for row in rows]
    return store_lines(
        lines, [row[1].astimezone(UTC).date() for row in rows], [row[2] for row in rows]
    )


def store_lines(
    lines: Sequence[bytes],
    days_of: Sequence[date],
    names: Sequence[str],
    *,
    is_fresh: bool = True,
) -> list[Outcome]:
    """Store lines of ``copy_text``, each with its UTC day and the event's name. See ``store``.

    ``is_fresh``: duplicates aren't expected. It decides only what is tried first.
    """
    distinct_days = set(days_of)
    partitions.ensure(distinct_days)
    for attempt in range(_TRIES):
        try:
            with transaction.atomic(using=database.ALIAS):
                # An event of both ways may wait for the other: the second try goes one way only.
                is_tried = is_fresh and not attempt
                return _store(lines, days_of, names if is_tried else None, distinct_days)
        except DatabaseError as error:
            if attempt == _TRIES - 1 or not _may_succeed_later(error):
                raise
    raise AssertionError  # the last try returns or raises


def _store(
    lines: Sequence[bytes],
    days_of: Sequence[date],
    names: Sequence[str] | None,
    distinct_days: set[date],
) -> list[Outcome]:
    outcomes = [Outcome.ACCEPTED] * len(lines)
    waiting = dict(enumerate(lines))
    if closed := days.share(distinct_days):
        for ordinal, day in enumerate(days_of):
            if day in closed:
                outcomes[ordinal] = Outcome.TOO_OLD
                del waiting[ordinal]
    if names:
        waiting = _append(waiting, names)
    if not waiting:
        return outcomes
    staging.prepare()
    copy_text.send(_STAGE, b"".join([b"%d\t%b" % pair for pair in waiting.items()]))
    duplicates = INSERT_NEW.rows()
    for (ordinal,) in duplicates:
        outcomes[ordinal] = Outcome.DUPLICATE
    if len(duplicates) < len(waiting):
        registry.consume()
    return outcomes


def _append(waiting: dict[int, bytes], names: Sequence[str]) -> dict[int, bytes]:
    """Copy what no consumer reads into the log; return what is to go by the staging table."""
    read = registry.names()
    unread = [line for ordinal, line in waiting.items() if names[ordinal] not in read]
    # Of an event that is twice in the batch the first one counts, whichever way it goes.
    if not unread or len({line[_ID] for line in waiting.values()}) < len(waiting):
        return waiting
    try:
        with transaction.atomic(using=database.ALIAS):
            # One order for everybody, see insert_new.sql.
            copy_text.send(_APPEND, b"".join(sorted(unread)))
    except IntegrityError as error:
        if isinstance(error.__cause__, errors.UniqueViolation):
            return waiting  # the staging table tells which
        raise
    return {ordinal: line for ordinal, line in waiting.items() if names[ordinal] in read}


def _may_succeed_later(error: DatabaseError) -> bool:
    if isinstance(error, IntegrityError):
        return routing.is_missing(error)
    return isinstance(error.__cause__, errors.DeadlockDetected)


def _clean(text: str | None) -> str | None:
    return None if text is None else pg_text.clean(text)
