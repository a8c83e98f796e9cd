"""Conductor runs that finished long ago are deleted with their tasks, in bounded batches."""

from collections import Counter

from django.db import transaction

from governance.kernel import sql
from orbit.retention.batch import Batch, Preview

#: Tasks of a batch.
TASKS = 5000
#: After every ULID.
_END = "~"
START = ("-infinity", "", _END)

OPEN = "tasks of it are open, or aggregate has not counted them all"
IN_USE = "another transaction uses it"

NEXT_OLD_RUN = sql.load(__name__, "next_old_run")
LOCK_OLD_RUN = sql.load(__name__, "lock_old_run")
BEGIN_RUN = sql.load(__name__, "begin_run")
PRUNE_TASKS = sql.load(__name__, "prune_tasks")
PRUNE_RUN = sql.load(__name__, "prune_run")


def prune_runs(until: str, after: tuple[str, ...], preview: Preview | None = None) -> Batch:
    """Delete the next tasks of the next run; the run itself with the last of them.

    ``after``: finish and id of the run before, and the id below which tasks of this one are left.
    A run of which tasks were deleted can't be retried any more; its row goes last.
    """
    after_at, after_id, below = after
    with transaction.atomic():
        row = NEXT_OLD_RUN.one(until=until, after_at=after_at, after_id=after_id)
        if row is None:
            return Batch(None)
        finished_at, run = row
        past = (finished_at.isoformat(), run, _END)
        if LOCK_OLD_RUN.one(id=run, until=until) is None:
            return Batch(past, kept=Counter({IN_USE: 1}))
        if BEGIN_RUN.one(id=run) is None:
            return Batch(past, kept=Counter({OPEN: 1}))
        looked_at, parents, lowest, *gone = PRUNE_TASKS.one(run=run, below=below, limit=TASKS) or (
            0,
            0,
            None,
            0,
            0,
        )
        if preview:  # children of other batches are still there
            gone = [looked_at, parents]
        deleted = Counter(conductor_tasks=gone[0], conductor_parents=gone[1])
        following = (after_at, after_id, lowest)
        if looked_at < TASKS:
            following = (after_at, after_id, _END)
            # From the end to the beginning in one batch, and all of it gone: it has no task left.
            if preview or (below == _END and gone[0] == looked_at):
                following = past
                deleted += Counter(conductor_runs=1) if preview else _end(run)
        if preview:
            transaction.set_rollback(True)
    return Batch(following, +deleted, first=finished_at, last=finished_at)


def _end(run: str) -> Counter[str]:
    runs, tallies = PRUNE_RUN.one(run=run) or (0, 0)
    return Counter(conductor_runs=runs, conductor_tallies=tallies)
