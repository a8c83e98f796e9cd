"""Walking the chain: is the trail what was written?"""

import json
from typing import Any

from django.db import connection

from governance.audit.chain import Draft, entry_hash
from governance.kernel.errors import Kind, OrbitError

BATCH = 1000
BEGINNING = "0" * 64

HEAD = "SELECT sequence, hash FROM governance_audithead WHERE id = 1"
# JSON as text: what a driver makes of it is its own affair.
NEXT = """SELECT id, at, actor, action, object_type, object_id, namespace, before::text, after::text, reason, request_id, previous_hash, hash
FROM governance_audittrailentry WHERE id > %s ORDER BY id LIMIT %s"""


class Broken(OrbitError):
    """The audit trail is not what was written."""

    code, kind = "audit_trail_broken", Kind.CONFLICT


def walk() -> tuple[int, str]:
    """Recompute the whole chain, and return the number and the hash of its last entry.

    Call it inside a transaction that sees one state (REPEATABLE READ, or with nobody else there). Memory doesn't grow with the trail.
    Raises Broken, naming the first entry that is missing, was changed, or doesn't follow the one before, or the head that fits no entry.
    """
    number, previous = 0, BEGINNING
    while rows := _fetch(NEXT, number, BATCH):
        for row in rows:
            number, previous = _follow(row, number, previous)
    head = _fetch(HEAD)
    if not head:
        raise Broken("The audit trail has no head.")
    if head[0] != (number, previous):
        raise Broken(f"The audit trail's head names entry {head[0][0]} ({head[0][1][:12]}), the last entry is {number} ({previous[:12]}).")
    return number, previous


def _follow(row: tuple[Any, ...], number: int, previous: str) -> tuple[int, str]:
    entry, at, actor, action, object_type, object_id, namespace, before, after, reason, request_id, said_previous, said = row
    if entry != number + 1:
        raise Broken(f"The audit trail's entry {number + 1} is missing.")
    if said_previous != previous:
        raise Broken(f"The audit trail's entry {entry} doesn't follow entry {number}.")
    draft = Draft(actor, action, object_type, object_id, namespace, _parsed(before), _parsed(after), reason, request_id)
    if entry_hash(draft, number=entry, at=at, previous=previous) != said:
        raise Broken(f"The audit trail's entry {entry} was changed.")
    return entry, said


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _fetch(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
