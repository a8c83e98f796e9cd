"""The hash chain: SHA-256 over an entry's RFC 8785 JSON, which includes the previous hash."""

from dataclasses import asdict, dataclass
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from governance.kernel import pg_text, sql
from governance.kernel.canonical import canonical_json, sha256_hex
from governance.models import AuditTrailEntry

APPEND = sql.load(__name__, "append")

_SAFE_INTEGER = 2**53 - 1


class Stored:
    """A large value, made storable and canonical before its transaction."""

    def __init__(self, value: Any) -> None:
        """Take time by the size of ``value``."""
        self.canonical = canonical_json(storable(value)).decode()


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry without its place in the chain."""

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
    """Return ``entry`` without its place in the chain."""
    return Draft(
        actor=entry.actor,
        action=entry.action,
        object_type=entry.object_type,
        object_id=entry.object_id,
        namespace=entry.namespace,
        before=entry.before,
        after=entry.after,
        reason=entry.reason,
        request_id=entry.request_id,
    )


def storable(value: Any) -> Any:
    """Return ``value`` as jsonb keeps it, so that its hash can be recomputed."""
    if isinstance(value, Stored):
        return value
    if isinstance(value, dict):
        return {pg_text.clean(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    # jsonb rewrites other numbers; they become text.
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if 1e-4 <= abs(value) < 1e15 or value == 0 else repr(value)
    return pg_text.clean(str(value))


def fields(draft: Draft, *, number: int, at: datetime, previous: str) -> dict[str, Any]:
    """Return the fields that an entry's hash covers."""
    return {
        **asdict(draft),
        "id": number,
        # The format of to_char in append.sql.
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "previous_hash": previous,
    }


def entry_hash(draft: Draft, *, number: int, at: datetime, previous: str) -> str:
    """Return the hash of an entry that follows the hash ``previous``."""
    return sha256_hex(canonical_json(fields(draft, number=number, at=at, previous=previous)))


def append(drafts: list[Draft]) -> None:
    """Append ``drafts``. Call it last: the head stays locked until the commit."""
    # One statement, because all other writers wait for the head: the database adds time, number and
    # previous hash to JSON that is made here.
    pieces = [_pieces(draft) for draft in drafts]
    appended = APPEND.send(
        actors=[draft.actor for draft in drafts],
        actions=[draft.action for draft in drafts],
        object_types=[draft.object_type for draft in drafts],
        object_ids=[draft.object_id for draft in drafts],
        namespaces=[draft.namespace for draft in drafts],
        befores=[_jsonb(draft.before) for draft in drafts],
        afters=[_jsonb(draft.after) for draft in drafts],
        reasons=[draft.reason for draft in drafts],
        request_ids=[draft.request_id for draft in drafts],
        until_time=[piece[0] for piece in pieces],
        until_id=[piece[1] for piece in pieces],
        until_hash=[piece[2] for piece in pieces],
        until_end=[piece[3] for piece in pieces],
    )
    if not appended:
        raise RuntimeError("The audit trail has no head. Run manage.py migrate.")


def _jsonb(value: Any) -> Jsonb | None:
    if isinstance(value, Stored):
        return Jsonb(value, dumps=lambda stored: stored.canonical)
    return None if value is None else Jsonb(value)


def _canonical(value: Any) -> str:
    return value.canonical if isinstance(value, Stored) else canonical_json(value).decode()


def _pieces(draft: Draft) -> tuple[str, str, str, str]:
    """Return the JSON of ``fields``, cut where time, number and previous hash belong."""
    # RFC 8785 sorts members by name, so their order is fixed.
    # Not asdict(), which copies documents.
    values = {member.name: _canonical(getattr(draft, member.name)) for member in fields_of(draft)}
    return (
        '{{"action":{action},"actor":{actor},"after":{after},"at":"'.format(**values),
        '","before":{before},"id":'.format(**values),
        ',"namespace":{namespace},"object_id":{object_id},"object_type":{object_type},'
        '"previous_hash":"'.format(**values),
        '","reason":{reason},"request_id":{request_id}}}'.format(**values),
    )
