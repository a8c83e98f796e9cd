"""The hash chain: each entry's hash covers its fields and the hash before it.

The head row is the chain's lock and its memory: ids are head + 1 without gaps, and two writers can't fork it. The hash is SHA-256 over
the RFC 8785 JSON of the entry, ``previous_hash`` included.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from psycopg.types.json import Jsonb

from governance.kernel.canonical import canonical_json, sha256_hex
from governance.models import AuditTrailEntry

_SAFE_INTEGER = 2**53 - 1

LOCK_HEAD = """UPDATE governance_audithead SET sequence = sequence + %s WHERE id = 1 RETURNING sequence - %s, hash, clock_timestamp()"""

APPEND = """WITH entries AS (
    INSERT INTO governance_audittrailentry
        (id, at, actor, action, object_type, object_id, namespace, before, after, reason, request_id, previous_hash, hash)
    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::jsonb[], %s::jsonb[], %s::text[], %s::text[], %s::text[], %s::text[]))
UPDATE governance_audithead SET hash = %s WHERE id = 1"""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has a place in the chain."""

    actor: str
    action: str
    object_type: str
    object_id: str
    namespace: str | None
    before: Any
    after: Any
    reason: str
    request_id: str


def draft_of(entry: AuditTrailEntry) -> Draft:
    """Return ``entry`` without its place."""
    return Draft(entry.actor, entry.action, entry.object_type, entry.object_id, entry.namespace, entry.before, entry.after, entry.reason, entry.request_id)


def storable(value: Any) -> Any:
    """Return ``value`` in the form that survives jsonb unchanged: numbers that it would rewrite become text, so that hashes can be recomputed."""
    if isinstance(value, dict):
        return {str(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if 1e-4 <= abs(value) < 1e15 or value == 0 else repr(value)
    return str(value).replace("\x00", "\ufffd")


def fields(draft: Draft, *, number: int, at: datetime, previous: str) -> dict[str, Any]:
    """Return what the hash of the entry ``number``, written at ``at``, covers; ``previous`` is the hash of the entry before it."""
    return {**asdict(draft), "id": number, "at": at.astimezone(UTC).isoformat(timespec="microseconds"), "previous_hash": previous}


def entry_hash(draft: Draft, *, number: int, at: datetime, previous: str) -> str:
    """Return the hash of the entry ``number``, written at ``at``, that follows the hash ``previous``."""
    return sha256_hex(canonical_json(fields(draft, number=number, at=at, previous=previous)))


def append(drafts: list[Draft]) -> None:
    """Append ``drafts`` to the chain; call it last in a transaction, since the head stays locked until that ends."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK_HEAD, [len(drafts), len(drafts)])
        row = cursor.fetchone()
        if row is None:
            raise RuntimeError("The audit trail has no head. Run manage.py migrate.")
        number, previous, at = row
        columns: list[list[Any]] = [[] for _ in range(13)]
        for draft in drafts:
            number += 1
            digest = entry_hash(draft, number=number, at=at, previous=previous)
            values = (number, at, draft.actor, draft.action, draft.object_type, draft.object_id, draft.namespace,
                      None if draft.before is None else Jsonb(draft.before), None if draft.after is None else Jsonb(draft.after),
                      draft.reason, draft.request_id, previous, digest)  # fmt: skip
            for column, value in zip(columns, values, strict=True):
                column.append(value)
            previous = digest
        cursor.execute(APPEND, [*columns, previous])
