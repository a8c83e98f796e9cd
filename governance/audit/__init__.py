"""The one door to the audit trail.

A deed that belongs on record runs inside ``deed()`` and calls ``record()``; nested deeds join the outermost one. Its transaction
appends all entries last, so that the chain's lock is held for a moment only, deeds within deeds don't deadlock, and what is rolled
back leaves no entry. After a crash either the deed and its entries are there, or neither.
"""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction as database

from governance.audit import chain
from governance.kernel import request_context

_pending: contextvars.ContextVar[list[chain.Draft] | None] = contextvars.ContextVar(
    "audit_pending", default=None
)


class OutsideTransaction(RuntimeError):
    """record() was called outside of deed(): a fault of the caller, not of the user."""


@contextmanager
def transaction() -> Iterator[None]:
    """Open a transaction whose ``record()`` entries are appended to the chain as its last act."""
    outer = _pending.get()
    if outer is not None:
        mark = len(outer)
        try:
            with database.atomic():
                yield
        except BaseException:
            del outer[mark:]
            raise
        return
    drafts: list[chain.Draft] = []
    token = _pending.set(drafts)
    try:
        with database.atomic():
            yield
            if drafts:
                chain.append(drafts)
    finally:
        _pending.reset(token)


def record(
    action: str,
    *,
    actor: str,
    object_type: str = "",
    object_id: str = "",
    namespace: str | None = None,
    before: Any = None,
    after: Any = None,
    reason: str = "",
    request_id: str = "",
) -> None:
    """Put one entry on the trail with the transaction of the surrounding ``deed()``.

    ``action`` is ``noun.past``; ``before`` and ``after`` are JSON values that hold no secret. The request's id is known here, and need not
    be given. Raises NoDeed outside of a deed.
    """
    drafts = _pending.get()
    if drafts is None:
        raise OutsideTransaction(action)
    drafts.append(
        chain.Draft(
            actor=actor,
            action=action,
            object_type=object_type,
            object_id=object_id,
            namespace=namespace,
            before=chain.storable(before),
            after=chain.storable(after),
            reason=reason,
            request_id=request_id or request_context.request_id.get(),
        )
    )
