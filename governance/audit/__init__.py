"""The audit trail: ``record()`` writes an entry inside ``transaction()``.

A change and its entries are committed together or not at all.
"""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction as database

from governance.audit import chain
from governance.audit.actions import Action
from governance.kernel import clock, pg_text, request_context

_pending: contextvars.ContextVar[list[chain.Draft] | None] = contextvars.ContextVar(
    "audit_pending", default=None
)


class OutsideTransaction(RuntimeError):
    """record() was called outside of transaction()."""


def stored(value: Any) -> chain.Stored:
    """Return a large value for ``record``. Make it before the transaction."""
    return chain.Stored(value)


@contextmanager
def transaction() -> Iterator[None]:
    """Open a transaction or savepoint; the outermost appends the entries at its end."""
    outer = _pending.get()
    if outer is not None:
        mark = len(outer)
        try:
            with database.atomic():
                yield
        except BaseException:
            del outer[mark:]  # rolled back
            raise
        return
    drafts: list[chain.Draft] = []
    token = _pending.set(drafts)
    try:
        with database.atomic():
            clock.refresh()  # for the ids that are made inside
            yield
            # Last, so that the chain's lock is held briefly and no other lock is taken after it.
            if drafts:
                chain.append(drafts)
    finally:
        _pending.reset(token)


def record(
    action: Action,
    *,
    actor: str,
    object_type: str = "",
    object_id: str = "",
    namespace: str | None = None,
    before: Any = None,
    after: Any = None,
    reason: str = "",
) -> None:
    """Record ``action``; pass no secrets. Raises OutsideTransaction."""
    drafts = _pending.get()
    if drafts is None:
        raise OutsideTransaction(action)
    drafts.append(
        chain.Draft(
            actor=actor,
            action=action.value,
            object_type=object_type or action.object_type,
            object_id=object_id,
            namespace=namespace,
            before=chain.storable(before),
            after=chain.storable(after),
            reason=pg_text.clean(reason),
            request_id=request_context.request_id.get(),
        )
    )
