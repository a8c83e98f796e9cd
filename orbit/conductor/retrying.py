"""Retry what failed under a parent, in bounded batches.

``is_retrying`` says that children of a parent are still to be made ready, and ``retried_up_to`` how
far the last batch came. A child that is a parent itself begins with its own children by that mark.
Aggregate goes on with them, so a killed process leaves the rest to others. A parent isn't failed
for its children until all of them have been looked at.
"""

from collections import deque

from django.db import transaction

from governance.kernel import sql
from orbit.conductor.cascade import Batch
from orbit.conductor.task_events import EVENTS

_GOES_ON = sql.fragment(__name__, "goes_on")
_AGAIN = sql.fragment(__name__, "is_retried", goes_on=_GOES_ON)
BEGIN_RETRY = sql.load(__name__, "begin_retry", again=_AGAIN)
NEXT_RETRYING_PARENT = sql.load(__name__, "next_retrying_parent")
RETRY_CHILDREN = sql.load(__name__, "retry_children", events=EVENTS, again=_AGAIN)
GO_ON_RETRYING = sql.load(__name__, "go_on_retrying")

#: Tasks of one batch, in one transaction.
BATCH = 2_000
#: Parents of the first call.
_PARENTS = 50


def retry_children(parent_id: str) -> bool:
    """Retry what failed under a parent that is RUNNING again: a batch of it at once.

    Call it in the transaction of the retry. Returns whether there is anything to retry.
    """
    BEGIN_RETRY.execute(id=parent_id)
    tasks, goes_on, waiting = 0, False, deque([parent_id])
    for _ in range(_PARENTS):
        if not waiting or tasks >= BATCH:
            break
        batch, parents = _retry(waiting.popleft(), 0)
        tasks += batch.tasks
        goes_on = goes_on or not batch.is_last
        waiting += parents
    return bool(tasks) or goes_on


def retry_batch() -> Batch:
    """Retry failed children of the first parent that has some and isn't held by others."""
    after = ""
    while True:
        with transaction.atomic():
            row = NEXT_RETRYING_PARENT.one(after=after)
            if row is None:
                return Batch()
            after, up_to = row
            batch, _ = _retry(after, up_to)
        if batch.moved:
            return batch


def _retry(parent_id: str, up_to: int) -> tuple[Batch, list[str]]:
    """Retry a batch of a parent's children; return also those that are parents themselves."""
    ((last, tasks, is_last, parents),) = RETRY_CHILDREN.send(id=parent_id, up_to=up_to, tasks=BATCH)
    GO_ON_RETRYING.execute(id=parent_id, up_to=last, is_last=is_last)
    return Batch(tasks, moved=is_last or last > up_to, is_last=is_last), parents
