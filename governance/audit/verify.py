"""Walking the chain: is the trail what was written?

The head and the last entry's number are read in one statement, and the walk ends there: what is appended meanwhile is for another walk.
Nothing before them may ever change, so no transaction has to stay open for it: the walk goes on in batches, each a statement of its
own, may stop after any of them and go on from that position later. Memory doesn't grow with the trail.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db import connection

from governance.audit.chain import Draft, entry_hash
from governance.kernel.errors import Kind, OrbitError

BATCH = 1000
BEGINNING = "0" * 64

HEAD = "SELECT sequence, hash FROM governance_audithead WHERE id = 1"
END = "SELECT sequence, hash, (SELECT coalesce(max(id), 0) FROM governance_audittrailentry) FROM governance_audithead WHERE id = 1"
# JSON as text: what a driver makes of it is its own affair. A time that no driver can hold isn't one that we wrote.
NEXT = """SELECT id, CASE WHEN at >= '0001-01-02' AND at < '9999-12-31' THEN at END, actor, action, object_type, object_id, namespace,
    before::text, after::text, reason, request_id, previous_hash, hash
FROM governance_audittrailentry WHERE id > %s AND id <= %s ORDER BY id LIMIT %s"""

#: Hears how many entries are proved, of how many.
Told = Callable[[int, int], object]


class Broken(OrbitError):
    """The audit trail is not what was written."""

    code, kind = "audit_trail_broken", Kind.CONFLICT

    def __init__(self, detail: str = "", *, entry: int = 0) -> None:
        """``entry`` is the first that isn't as it was written, 0 where none can be named."""
        super().__init__(detail, first_broken=entry)
        self.entry = entry


class PositionInvalid(OrbitError):
    """This cursor isn't one of ours. Start again without one."""

    code, kind = "invalid_cursor", Kind.MALFORMED


@dataclass(frozen=True, slots=True)
class Position:
    """Up to which entry the chain is proved, and that entry's hash."""

    number: int = 0
    hash: str = BEGINNING

    @property
    def cursor(self) -> str:
        """The position as a text that only we can make: nobody begins where it suits him."""
        return _signer().sign(f"{self.number}:{self.hash}")

    @classmethod
    def of(cls, cursor: str | None) -> "Position":
        """Return the position that ``cursor`` names; None is the beginning. Raises PositionInvalid."""
        if cursor is None:
            return cls()
        try:
            number, _, digest = _signer().unsign(cursor).partition(":")
        except signing.BadSignature:
            raise PositionInvalid from None
        return cls(int(number), digest)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk found; ``intact`` is None where it stopped on its way, and may go on from ``reached``."""

    intact: bool | None
    reached: Position
    last: int
    first_broken: int | None = None
    problem: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as answers and the command show it."""
        if self.intact is None:
            return {"intact": None, "verified": self.reached.number, "entries": self.last}
        if self.intact:
            return {"intact": True, "entries": self.reached.number, "head": self.reached.hash}
        return {"intact": False, "first_broken": self.first_broken, "problem": self.problem}


def walk(*, told: Told | None = None) -> tuple[int, str]:
    """Recompute the whole chain, and return the number and the hash of its last entry.

    Raises Broken, naming the first entry that is missing, was changed, or doesn't follow the one before, or the head that fits no entry.
    """
    position = Position()
    for position, last in _positions(Position()):
        if told is not None:
            told(position.number, last)
    return position.number, position.hash


def judge(start: Position, *, seconds: float) -> Verdict:
    """Walk from behind ``start`` for about ``seconds``, and say what was found until then. Raises nothing about the trail."""
    ends = time.monotonic() + seconds
    position, last = start, 0
    try:
        for position, last in _positions(start):
            if time.monotonic() > ends and position.number < last:
                return Verdict(None, position, last)
    except Broken as broken:
        return Verdict(False, position, last, first_broken=broken.entry, problem=broken.detail)
    return Verdict(True, position, last)


def _positions(start: Position) -> Iterator[tuple[Position, int]]:
    """Yield after each batch how far the chain is proved, and the last entry's number, then hold its end against the head. Raises Broken."""
    found = _fetch(END)
    if not found:
        raise Broken("The audit trail has no head.")
    sequence, digest, last = found[0]
    position = start
    while rows := _fetch(NEXT, position.number, last, BATCH):
        for row in rows:
            position = _follow(row, position)
        yield position, last
    if (sequence, digest) != (position.number, position.hash):
        wrong = min(sequence, position.number) + (sequence != position.number)
        raise Broken(
            f"The audit trail's head names entry {sequence} ({digest[:12]}), the last entry is {position.number} ({position.hash[:12]}).",
            entry=wrong,
        )
    if last == start.number:
        yield position, last


def _follow(row: tuple[Any, ...], before: Position) -> Position:
    (
        entry,
        at,
        actor,
        action,
        object_type,
        object_id,
        namespace,
        old,
        new,
        reason,
        request_id,
        said_previous,
        said,
    ) = row
    if entry != before.number + 1:
        raise Broken(
            f"The audit trail's entry {before.number + 1} is missing.", entry=before.number + 1
        )
    if said_previous != before.hash:
        raise Broken(
            f"The audit trail's entry {entry} doesn't follow entry {before.number}.", entry=entry
        )
    try:
        draft = Draft(
            actor,
            action,
            object_type,
            object_id,
            namespace,
            _parsed(old),
            _parsed(new),
            reason,
            request_id,
        )
        digest = (
            None if at is None else entry_hash(draft, number=entry, at=at, previous=before.hash)
        )
    except ValueError:  # a number that we would have written as text
        digest = None
    if digest != said:
        raise Broken(f"The audit trail's entry {entry} was changed.", entry=entry)
    return Position(entry, said)


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _signer() -> signing.Signer:
    return signing.Signer(salt="audit position")


def _fetch(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
