"""Conductor runs that finished long ago are deleted with their tasks, in bounded batches."""

from collections import Counter

from django.db import transaction

from governance.kernel import sql
from orbit.retention.cycles import Batch

#: Tasks of a batch.
TASKS = 5000
#: After every ULID.
_END = "~"
START = ("-infinity", "", _END)

NEXT_OLD_RUN = sql.load(__name__, "next_old_run")
BEGIN_RUN = sql.load(__name__, "begin_run")
PRUNE_TASKS = sql.load(__name__, "prune_tasks")
PRUNE_RUN = sql.load(__name__, "prune_run")


def prune_runs(until: str, after: tuple[str, ...], *, dry_run: bool) -> Batch:
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
        here = (after_at, after_id)
        past = (finished_at.isoformat(), run)
        if BEGIN_RUN.one(id=run, until=until) is None:
            # Another process prunes it, or it runs again.
            return Batch((*past, _END))
        looked_at, lowest, tasks, parents = PRUNE_TASKS.one(run=run, below=below, limit=TASKS) or (
            0,
            None,
            0,
            0,
        )
        if dry_run:  # children of other batches are still there
            tasks, parents = looked_at, 0
        deleted = Counter(conductor_tasks=tasks, conductor_parents=parents)
        next_ = (*here, lowest)
        if looked_at < TASKS:
            next_ = (*here, _END)
            if dry_run or (below == _END and tasks == looked_at):
                next_ = (*past, _END)
                deleted += _end(run, dry_run)
        if dry_run:
            transaction.set_rollback(True)
    return Batch(next_, deleted, first=finished_at, last=finished_at)


def _end(run: str, dry_run: bool) -> Counter[str]:
    if dry_run:
        return Counter(conductor_runs=1)
    runs, tallies = PRUNE_RUN.one(run=run) or (0, 0)
    return Counter(conductor_runs=runs, conductor_tallies=tallies)
