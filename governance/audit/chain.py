"""The hash chain: each entry's hash covers its fields and the hash before it.

The head row is the chain's lock and its memory: ids are head + 1 without gaps, and two writers can't fork it. The hash is SHA-256 over
the RFC 8785 JSON of the entry, ``previous_hash`` included.

Appending is one statement, for what happens between lock and commit is what all other writers wait for. So the JSON comes in four pieces, and
the database puts time, number and the hash before between them, which it alone knows. ``verify`` makes the same JSON in one piece.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from psycopg.types.json import Jsonb

from governance.kernel.canonical import canonical_json, sha256_hex
from governance.models import AuditTrailEntry

_SAFE_INTEGER = 2**53 - 1

#: The lock is waited for in ``held``; what follows sees the head as it is then. ``links`` goes from draft to draft, each on the hash before it.
APPEND = """WITH RECURSIVE held AS MATERIALIZED (SELECT sequence, hash FROM governance_audithead WHERE id = 1 FOR NO KEY UPDATE),
drafts AS MATERIALIZED (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::jsonb[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY
        AS d (actor, action, object_type, object_id, namespace, before, after, reason, request_id, until_at, until_id, until_hash, rest, n)),
links (n, id, at, previous, hash) AS (
    SELECT 0::bigint, sequence, clock_timestamp(), ''::text, hash::text FROM held
    UNION ALL
    SELECT d.n, l.id + 1, l.at, l.hash, encode(sha256(convert_to(
        d.until_at || to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') || d.until_id || (l.id + 1)::text
        || d.until_hash || l.hash || d.rest, 'UTF8')), 'hex')
    FROM links l JOIN drafts d ON d.n = l.n + 1),
entries AS (
    INSERT INTO governance_audittrailentry
        (id, at, actor, action, object_type, object_id, namespace, before, after, reason, request_id, previous_hash, hash)
    SELECT l.id, l.at, d.actor, d.action, d.object_type, d.object_id, d.namespace, d.before, d.after, d.reason, d.request_id, l.previous, l.hash
    FROM links l JOIN drafts d ON d.n = l.n)
UPDATE governance_audithead h SET sequence = last.id, hash = last.hash FROM (SELECT id, hash FROM links ORDER BY n DESC LIMIT 1) last WHERE h.id = 1"""


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
    return Draft(
        entry.actor,
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.namespace,
        entry.before,
        entry.after,
        entry.reason,
        entry.request_id,
    )


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
    return {
        **asdict(draft),
        "id": number,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "previous_hash": previous,
    }


def entry_hash(draft: Draft, *, number: int, at: datetime, previous: str) -> str:
    """Return the hash of the entry ``number``, written at ``at``, that follows the hash ``previous``."""
    return sha256_hex(canonical_json(fields(draft, number=number, at=at, previous=previous)))


def append(drafts: list[Draft]) -> None:
    """Append ``drafts`` to the chain; call it last in a transaction, since the head stays locked until that ends."""
    rows = [
        (draft.actor, draft.action, draft.object_type, draft.object_id, draft.namespace, _json(draft.before), _json(draft.after), draft.reason,
         draft.request_id, *_pieces(draft)) for draft in drafts
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(APPEND, [list(column) for column in zip(*rows, strict=True)])
        if cursor.rowcount != 1:
            raise RuntimeError("The audit trail has no head. Run manage.py migrate.")


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _pieces(draft: Draft) -> tuple[str, str, str, str]:
    """Return the RFC 8785 JSON of ``fields``, whose members stand in the order of their names, cut before time, number and previous hash."""
    values = {name: canonical_json(value).decode() for name, value in asdict(draft).items()}
    return (
        '{{"action":{action},"actor":{actor},"after":{after},"at":"'.format(**values),
        '","before":{before},"id":'.format(**values),
        ',"namespace":{namespace},"object_id":{object_id},"object_type":{object_type},"previous_hash":"'.format(
            **values
        ),
        '","reason":{reason},"request_id":{request_id}}}'.format(**values),
    )
