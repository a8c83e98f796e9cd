"""Whose word counts for tasks. The app that owns tasks registers itself when it starts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Authority:
    """The owner of tasks: a query on the main database.

    Its columns, in this order::

        task_id text, status text, changed_at timestamptz, title text, priority bigint,
        tags jsonb, namespace text

    ``task_id`` is unique and not null. ``status`` is PENDING, RUNNING, SUCCEEDED, FAILED or
    CANCELLED, in any case. ``tags`` is an array. The query is our own text, never an input's.
    """

    name: str
    query: str
    #: It deletes tasks that ended longer ago. None: it keeps them.
    forgets_after_days: int | None = None


class _Slot:
    authority: Authority | None = None


_slot = _Slot()


def register(authority: Authority | None) -> None:
    """Make ``authority`` the one that counts; None removes it."""
    _slot.authority = authority


def registered() -> Authority | None:
    """Return the authority, or None: then there is nothing to compare with."""
    return _slot.authority
