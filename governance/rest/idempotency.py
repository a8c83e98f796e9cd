"""Idempotency-Key: the same request sent twice acts once.

The key is inserted first, in the transaction of the work: an equal request waits, and after a crash
the work and its answer are both there, or neither.

Work of several transactions (``get_or_continue``) commits the key before, with the id of the call:
an equal request, also after a crash, goes on with the same call.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from rest_framework.request import Request

from governance import audit
from governance.access.still_allowed import Lost
from governance.kernel import sql
from governance.kernel.errors import Kind, OrbitError

_MAX_LENGTH = 255

CLAIM_KEY = sql.load(__name__, "claim_key")
READ_KEY = sql.load(__name__, "read_key")
STORE_ANSWER = sql.load(__name__, "store_answer")
CLAIM_CALL = sql.load(__name__, "claim_call")
READ_CALL = sql.load(__name__, "read_call")
STORE_CALL = sql.load(__name__, "store_call")
HOLD_CALL = sql.load(__name__, "hold_call")
READ_KEPT = sql.load(__name__, "read_kept")
KEEP_FOR_CALL = sql.load(__name__, "keep_for_call")
RELEASE_KEY = sql.load(__name__, "release_key")

#: The header, for an operation that honours it.
HEADER = {
    "type": "string",
    "pattern": "^[!-~]([ -~]{0,253}[!-~])?$",
    "description": "The same key with the same body acts once in 24 hours.",
}


#: Raises the refusal of a stored answer that its caller, who may have lost a namespace since, or
#: come with another token, may not see.
Ensure = Callable[[dict[str, Any]], None]


class KeyInvalid(OrbitError):
    """An Idempotency-Key is 1 to 255 visible ASCII characters."""

    code, kind = "invalid_idempotency_key", Kind.MALFORMED


class KeyReused(OrbitError):
    """This Idempotency-Key was used for a request with another body."""

    code, kind = "idempotency_key_reused", Kind.INVALID


class IdempotencyKey:
    """One user's key for one route and body."""

    def __init__(self, *, owner_id: int, route: str, key: str, body: bytes) -> None:
        self._row: dict[str, Any] = {"owner": owner_id, "route": route, "key": key}
        self._sha256 = hashlib.sha256(body).hexdigest()

    def lookup(self) -> dict[str, Any] | None:
        """Return the answer of an equal request, or take the key and return None.

        Waits for an equal request that runs. Raises KeyReused.
        """
        if CLAIM_KEY.one(**self._row, sha256=self._sha256) is not None:
            return None
        stored = READ_KEY.one(**self._row)
        if stored is None:
            raise RuntimeError("a claimed key has no row")
        sha256, answer = stored
        if sha256 != self._sha256:
            raise KeyReused
        document: dict[str, Any] = json.loads(answer)
        return document

    def store(self, status: int, answer: dict[str, Any]) -> None:
        """Store the answer under the key."""
        text = json.dumps(answer, cls=DjangoJSONEncoder)
        STORE_ANSWER.execute(**self._row, status=status, answer=text)

    def call(self) -> tuple[UUID, dict[str, Any] | None]:
        """Return the call that this key stands for, and its answer if it has ended.

        Raises KeyReused.
        """
        CLAIM_CALL.execute(**self._row, sha256=self._sha256, call=str(uuid4()))
        stored = READ_CALL.one(**self._row)
        if stored is None:
            return self.call()  # an equal request was refused just now, and gave it up
        sha256, call, answer = stored
        if sha256 != self._sha256:
            raise KeyReused
        return call, None if answer is None else json.loads(answer)

    def store_call(self, call: UUID, status: int, answer: dict[str, Any]) -> dict[str, Any]:
        """Store the answer of a call, unless it has one; return what is stored."""
        text = json.dumps(answer, cls=DjangoJSONEncoder)
        stored = STORE_CALL.one(
            **self._row, sha256=self._sha256, call=str(call), status=status, answer=text
        )
        if stored is not None:
            return answer
        _, other = self.call()
        return answer if other is None else other

    def hold(self, call: UUID) -> bool:
        """Keep equal requests out until the transaction ends; False if the call has ended."""
        return HOLD_CALL.one(**self._row, call=str(call)) is not None

    def kept(self, call: UUID) -> dict[str, Any]:
        """Return what earlier tries of a call have kept."""
        row = READ_KEPT.one(**self._row, call=str(call))
        kept: dict[str, Any] = {} if row is None else json.loads(row[0])
        return kept

    def keep(self, call: UUID, members: dict[str, Any]) -> None:
        """Keep ``members`` for the next try of a call; the members of equal calls are joined."""
        KEEP_FOR_CALL.execute(**self._row, call=str(call), kept=json.dumps(members))

    def release(self) -> None:
        """Free the key, so that the next request with it runs."""
        RELEASE_KEY.execute(**self._row)


def key_of(request: Request, *, route: str, body: bytes) -> IdempotencyKey | None:
    """Return the request's key, or None without one. Raises KeyInvalid."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= _MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise KeyInvalid
    assert isinstance(request.user, User)  # noqa: S101 - HasScope refuses everybody else
    return IdempotencyKey(owner_id=request.user.pk, route=route, key=key, body=body)


def get_or_run(
    key: IdempotencyKey | None,
    run: Callable[[], dict[str, Any]],
    *,
    status: int,
    ensure_visible: Ensure,
) -> dict[str, Any]:
    """Return the answer stored under ``key``, or that of ``run``, which must be atomic.

    Raises also what ``ensure_visible`` does.
    """
    if key is None:
        return run()
    with audit.transaction():
        answer = key.lookup()
        if answer is not None:
            ensure_visible(answer)
            return answer
        try:
            answer = run()
        except OrbitError as error:
            # Refusals aren't stored. What `run` wrote after its own rollback still commits, such as
            # the record of a skipped trigger, so the error is raised outside.
            key.release()
            refusal = error
        else:
            key.store(status, answer)
            return answer
    raise refusal


def get_or_continue(
    key: IdempotencyKey | None,
    run: Callable[[UUID | None], dict[str, Any]],
    *,
    status: int,
    ensure_visible: Ensure,
) -> dict[str, Any]:
    """Return the answer stored under ``key``, or that of ``run``, which takes the call's id.

    Raises also what ``ensure_visible`` does.
    ``run`` must do nothing twice under the same id, and nothing before it refuses but for Lost.
    """
    if key is None:
        return run(None)
    call, answer = key.call()
    if answer is not None:
        ensure_visible(answer)
        return answer
    try:
        answer = run(call)
    except Lost:
        raise  # it has done a part: if they are allowed again, the key goes on with that call
    except OrbitError:
        key.release()  # refusals aren't stored
        raise
    return key.store_call(call, status, answer)
