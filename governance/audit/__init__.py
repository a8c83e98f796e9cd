"""The audit trail: ``record()`` writes an entry inside ``transaction()``.

Nested transactions join the outermost one, which appends all entries as its last act. So the
chain's lock is held for a moment only, nested transactions don't deadlock, and what is rolled back
leaves no entry. After a crash either the change and its entries are there, or neither.
"""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction as database

from governance.audit import chain
from governance.audit.actions import Action
from governance.kernel import request_context

_pending: contextvars.ContextVar[list[chain.Draft] | None] = contextvars.ContextVar(
    "audit_pending", default=None
)


class OutsideTransaction(RuntimeError):
    """record() was called outside of transaction(): a bug of the caller."""


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
    """Record ``action`` when the surrounding ``transaction()`` commits.

    ``object_type`` defaults to the action's own. ``before`` and ``after`` are JSON values without
    secrets. The id of the request that is being answered is added. Raises OutsideTransaction.
    """
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
            reason=reason,
            request_id=request_context.request_id.get(),
        )
    )
