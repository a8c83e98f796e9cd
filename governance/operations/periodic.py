"""Periodic work: operation runs that Orbit starts by itself, once in each interval.

The maintenance process of every cluster asks for it, again and again. A row per type says when it
is due next; who moves that time on starts the run, in the same transaction: a crash leaves both or
none.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from governance.access.actors import SYSTEM
from governance.kernel import sql
from governance.models import PeriodicWork
from governance.operations import ledger
from governance.operations.slices import SliceHandler
from governance.states import Every

FIND_DUE = sql.load(__name__, "find_due_work")
TAKE_DUE = sql.load(__name__, "take_due_work")
HASTEN = sql.load(__name__, "hasten_work")

#: The reason of the runs.
REASON = "periodic"


@dataclass(frozen=True, slots=True)
class Work:
    """A type of operation runs, how often one is started, and what does its slices."""

    type: str
    every: Every
    run_slice: SliceHandler


# Apps add theirs when they are ready, so that the apps below need not know them.
_registered: dict[str, Work] = {}


def register(work: Work) -> None:
    """Have runs of a type started. Raises ValueError if another has the type."""
    if _registered.setdefault(work.type, work) != work:
        raise ValueError(f"Operation runs of the type {work.type} have a handler already.")


def registered() -> tuple[Work, ...]:
    """Return what apps registered."""
    return tuple(_registered.values())


def start_due(works: Iterable[Work], *, wake: Callable[[UUID], object]) -> list[UUID]:
    """Start the runs of those ``works`` that are due; return their ids.

    ``wake`` has the first slice of a run done. A run of the same type that is active counts as this
    interval's. Of any number of callers at once, one starts a run.
    """
    every = {work.type: str(work.every) for work in works}
    due = FIND_DUE.send(types=list(every), everies=list(every.values()))
    started = [_start(type_, every[type_], wake) for (type_,) in due]
    return [run for run in started if run is not None]


def hasten(type_: str, *, since: UUID) -> None:
    """Make the work due now, unless a run began after ``since``, the id of what asks for it."""
    HASTEN.execute(type=type_, since=since)


def _start(type_: str, every: str, wake: Callable[[UUID], object]) -> UUID | None:
    with transaction.atomic():
        taken = TAKE_DUE.one(type=type_, every=every, initiator=SYSTEM.name)
        if taken is None or not taken[0]:
            return None
        run, created = ledger.ensure_workspace_run_with_identity(
            type_, {}, initiator=SYSTEM.name, reason=REASON
        )
        PeriodicWork.objects.filter(pk=type_).update(last_run=run)
        if created:
            wake(run.pk)
        return run.pk
