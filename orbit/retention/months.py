"""Drop months of checkpoints and execution records of which no cycle is kept."""

from django.db import OperationalError, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from governance.kernel import sql
from orbit.retention.cycles import Batch

OLD_MONTHS = sql.load(__name__, "old_months")
DROP_MONTH = sql.load(__name__, "drop_month")

KEPT = "cycles of its month are kept"
BUSY = "a backup or another long reader holds it"


def drop_months(until: str, after: tuple[str, ...], *, dry_run: bool) -> Batch:
    """Drop the next month that ended before ``until``; a dry run counts all.

    ``after``: month and table that were looked at last. It waits 50 ms for others; then the
    next prune drops the month.
    """
    batch = Batch(None)
    for parent, month, is_kept in OLD_MONTHS.rows(until=until):
        if after and (str(month), parent) <= after:
            continue
        if is_kept:
            batch.kept[KEPT] += 1
            continue
        table = "months_of_" + parent.removeprefix("orbit_cycle").removeprefix("orbit_execution")
        if dry_run:
            batch.deleted[f"{table}s"] += 1
            continue
        batch.after = (str(month), parent)
        try:
            with transaction.atomic():
                dropped = DROP_MONTH.one(parent=parent, month=month)
            batch.deleted[f"{table}s"] += 0 if dropped is None else int(dropped[0])
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
            batch.kept[BUSY] += 1
        return batch
    return batch
