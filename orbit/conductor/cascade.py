"""Cancel the open tasks under a parent or a run, in bounded batches.

``is_cancelling`` says that there are some, and ``cancelled_up_to`` how far the last batch came.
A child that is a parent itself is noted in the tallies, so that aggregate
begins with its children.
"""

from dataclasses import dataclass

from django.db import transaction

from governance.kernel import sql
from orbit.conductor.task_events import EVENTS
from orbit.models import ConductorParent, ConductorRun

NEXT_CANCELLING_PARENT = sql.load(__name__, "next_cancelling_parent")
NEXT_CANCELLING_RUN = sql.load(__name__, "next_cancelling_run")
CANCEL_TASKS = sql.fragment(__name__, "cancel_tasks", events=EVENTS)
CANCEL_CHILDREN = sql.load(__name__, "cancel_children", cancel=CANCEL_TASKS)
CANCEL_ROOTS = sql.load(__name__, "cancel_roots", cancel=CANCEL_TASKS)

#: Tasks of one batch, in one transaction.
BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Batch:
    """``tasks`` were changed. ``moved``: it came further, so the next one may too."""

    tasks: int = 0
    moved: bool = False
    is_last: bool = False


def cancel_batch_of_roots() -> Batch:
    """Cancel open roots of the first run that has some and isn't held by others."""
    after = ""
    while True:
        with transaction.atomic():
            row = NEXT_CANCELLING_RUN.one(after=after)
            if row is None:
                return Batch()
            after, up_to = row
            batch = cancel_roots(after, up_to)
        if batch.moved:
            return batch


def cancel_batch_of_children() -> Batch:
    """Cancel open children of the first parent that has some and isn't held by others."""
    after = ""
    while True:
        with transaction.atomic():
            row = NEXT_CANCELLING_PARENT.one(after=after)
            if row is None:
                return Batch()
            after, up_to = row
            batch = _cancel_children(after, up_to)
        if batch.moved:
            return batch


def cancel_roots(run_id: str, up_to: int) -> Batch:
    """Cancel open roots after the index ``up_to``. The caller has locked the run."""
    ((last, tasks, is_last),) = CANCEL_ROOTS.send(id=run_id, up_to=up_to, tasks=BATCH)
    ConductorRun.objects.filter(pk=run_id).update(cancelled_up_to=last, is_cancelling=not is_last)
    return Batch(tasks, moved=is_last or last > up_to)


def _cancel_children(parent_id: str, up_to: int) -> Batch:
    # A statement after the one that locks: it sees the children of a fan-out that came before.
    ((last, tasks, is_last),) = CANCEL_CHILDREN.send(id=parent_id, up_to=up_to, tasks=BATCH)
    changed = {"cancelled_up_to": last, "is_cancelling": not is_last}
    if is_last:
        changed["is_fanned_out"] = True  # no more children
    ConductorParent.objects.filter(pk=parent_id).update(**changed)
    return Batch(tasks, moved=is_last or last > up_to)
