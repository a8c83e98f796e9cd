"""Idempotency-Key: the same request twice acts once.

The key is inserted first in the transaction of the deed, so that an equal request that comes at the same time waits for the outcome of
the first one; a refusal rolls the key back with everything else, so none is ever stored. After a crash either the deed and its answer
are there, or neither.
"""

import hashlib
import json
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from rest_framework.request import Request

from governance.kernel.errors import Kind, OrbitError

_LONGEST = 255

#: The header, for a resource that honours it.
HEADER = {
    "type": "string",
    "pattern": "^[!-~]([ -~]{0,253}[!-~])?$",
    "description": "the same key with the same body acts once in 24 hours",
}

#: A key older than a day is free again. No row comes back where a younger one stands; that one is locked then.
CLAIM = """INSERT INTO governance_idempotentrequest AS kept (owner_id, route, key, body_sha256, status, answer)
VALUES (%(owner)s, %(route)s, %(key)s, %(sha256)s, 0, 'null')
ON CONFLICT (owner_id, route, key) DO UPDATE SET body_sha256 = excluded.body_sha256, status = 0, answer = 'null', created_at = now()
    WHERE kept.created_at < now() - interval '24 hours'
RETURNING id"""
READ = "SELECT body_sha256, answer FROM governance_idempotentrequest WHERE owner_id = %(owner)s AND route = %(route)s AND key = %(key)s"
KEEP = """UPDATE governance_idempotentrequest SET status = %(status)s, answer = %(answer)s::jsonb
WHERE owner_id = %(owner)s AND route = %(route)s AND key = %(key)s"""


class KeyInvalid(OrbitError):
    """An Idempotency-Key is 1 to 255 visible ASCII characters."""

    code, kind = "invalid_idempotency_key", Kind.MALFORMED


class KeyReused(OrbitError):
    """This Idempotency-Key was used for a request with another body."""

    code, kind = "idempotency_key_reused", Kind.INVALID


class Key:
    """One owner's key for one route and body. ``claim`` and ``keep`` belong into the transaction of the deed."""

    def __init__(self, *, owner_id: int, route: str, key: str, body: bytes) -> None:
        self._row: dict[str, Any] = {
            "owner": owner_id,
            "route": route,
            "key": key,
            "sha256": hashlib.sha256(body).hexdigest(),
        }

    def claim(self) -> dict[str, Any] | None:
        """Take the key, or return the answer that the same request got. Waits for one that is under way. Raises KeyReused."""
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, self._row)
            if cursor.fetchone() is not None:
                return None
            cursor.execute(READ, self._row)
            sha256, answer = cursor.fetchone()
        if sha256 != self._row["sha256"]:
            raise KeyReused
        kept: dict[str, Any] = json.loads(answer)
        return kept

    def keep(self, status: int, answer: dict[str, Any]) -> None:
        """Store the answer under the key that was taken."""
        with connection.cursor() as cursor:
            cursor.execute(KEEP, {**self._row, "status": status, "answer": json.dumps(answer)})


def of(request: Request, *, route: str, body: bytes) -> Key | None:
    """Return the key that ``request`` names, None without the header. Raises KeyInvalid."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST or not key.isascii() or not key.isprintable():
        raise KeyInvalid
    assert isinstance(request.user, User)  # noqa: S101 - HasScope lets nobody else in
    return Key(owner_id=request.user.pk, route=route, key=key, body=body)
