"""Verify that every entry of the chain is as it was written.

Entries never change, so the walk needs no open transaction: it can stop after any batch and
continue later.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.db import connection

from governance.audit.chain import Draft, entry_hash
from governance.kernel import sql
from governance.kernel.errors import Kind, OrbitError

BATCH = 1000
BEGINNING = "0" * 64

HEAD = "SELECT sequence, hash FROM governance_audithead WHERE id = 1"
END = """SELECT sequence, hash, (SELECT coalesce(max(id), 0) FROM governance_audittrailentry)
FROM governance_audithead WHERE id = 1"""
NEXT_ENTRIES = sql.load(__name__, "next_entries")

#: Called with the number of verified entries and the total.
OnProgress = Callable[[int, int], object]


class Broken(OrbitError):
    """The audit trail is not what was written."""

    code, kind = "audit_trail_broken", Kind.CONFLICT

    def __init__(self, detail: str = "", *, entry: int = 0) -> None:
        """``entry`` is the first wrong one, or 0."""
        super().__init__(detail, first_broken=entry)
        self.entry = entry


class PositionInvalid(OrbitError):
    """This cursor isn't one of ours. Start again without one."""

    code, kind = "invalid_cursor", Kind.MALFORMED


@dataclass(frozen=True, slots=True)
class Position:
    """The last verified entry and its hash."""

    number: int = 0
    hash: str = BEGINNING

    @property
    def cursor(self) -> str:
        """A signed cursor, so that a caller can't choose where verification starts."""
        return _signer().sign(f"{self.number}:{self.hash}")

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Position":
        """Return the position of ``cursor`` (None: the beginning). Raises PositionInvalid."""
        if cursor is None:
            return cls()
        try:
            number, _, digest = _signer().unsign(cursor).partition(":")
        except signing.BadSignature:
            raise PositionInvalid from None
        return cls(int(number), digest)


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """A result. ``intact`` None: time ran out; continue from ``reached``."""

    intact: bool | None
    reached: Position
    last: int
    first_broken: int | None = None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what the API and the command show."""
        if self.intact is None:
            return {"intact": None, "verified": self.reached.number, "entries": self.last}
        if self.intact:
            return {"intact": True, "entries": self.reached.number, "head": self.reached.hash}
        return {"intact": False, "first_broken": self.first_broken, "problem": self.problem}


def walk(*, on_progress: OnProgress | None = None) -> tuple[int, str]:
    """Verify the whole chain; return its last number and hash. Raises Broken."""
    position = Position()
    for position, last in _positions(Position()):
        if on_progress is not None:
            on_progress(position.number, last)
    return position.number, position.hash


def check(start: Position, *, seconds: float) -> ChainCheck:
    """Verify entries after ``start`` for about ``seconds``; Broken becomes a result."""
    deadline = time.monotonic() + seconds
    position, last = start, 0
    try:
        for position, last in _positions(start):
            if time.monotonic() > deadline and position.number < last:
                return ChainCheck(None, position, last)
    except Broken as broken:
        return ChainCheck(False, position, last, broken.entry, broken.detail)
    return ChainCheck(True, position, last)


def stored_head() -> tuple[int, str]:
    """Return number and hash of the head row. Raises Broken without one."""
    return _only_row(HEAD)


def _positions(start: Position) -> Iterator[tuple[Position, int]]:
    """Yield the verified position and the last number after each batch. Raises Broken."""
    # One statement reads head and last number, so an append in between isn't an error.
    sequence, digest, last = _only_row(END)
    position = start
    while rows := NEXT_ENTRIES.rows(after=position.number, last=last, limit=BATCH):
        for row in rows:
            position = _follow(row, position)
        yield position, last
    if (sequence, digest) != (position.number, position.hash):
        first_wrong = min(sequence, position.number) + (sequence != position.number)
        raise Broken(
            f"The audit trail's head names entry {sequence} ({digest[:12]}), "
            f"the last entry is {position.number} ({position.hash[:12]}).",
            entry=first_wrong,
        )
    if last == start.number:  # nothing was left to verify
        yield position, last


def _follow(row: tuple[Any, ...], previous: Position) -> Position:
    """Return the position of ``row``. Raises Broken unless it follows ``previous``."""
    number, at, *fields, previous_hash, stored_hash = row
    if number != previous.number + 1:
        missing = previous.number + 1
        raise Broken(f"The audit trail's entry {missing} is missing.", entry=missing)
    if previous_hash != previous.hash:
        raise Broken(
            f"The audit trail's entry {number} doesn't follow entry {previous.number}.",
            entry=number,
        )
    if stored_hash != _recomputed_hash(fields, number=number, at=at, previous=previous.hash):
        raise Broken(f"The audit trail's entry {number} was changed.", entry=number)
    return Position(number, stored_hash)


def _recomputed_hash(
    fields: list[Any], *, number: int, at: datetime | None, previous: str
) -> str | None:
    """Return the hash the entry should have; None if Orbit can't have written its values."""
    actor, action, object_type, object_id, namespace, before, after, reason, request_id = fields
    if at is None:  # a time that the driver fails on
        return None
    try:
        draft = Draft(
            actor=actor,
            action=action,
            object_type=object_type,
            object_id=object_id,
            namespace=namespace,
            before=None if before is None else json.loads(before),
            after=None if after is None else json.loads(after),
            reason=reason,
            request_id=request_id,
        )
        return entry_hash(draft, number=number, at=at, previous=previous)
    except ValueError:  # a number that ``storable`` would have made text
        return None


def _signer() -> signing.Signer:
    return signing.Signer(salt="audit position")


def _only_row(query: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise Broken("The audit trail has no head.")
    return row
