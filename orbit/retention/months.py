"""Drop months of checkpoints and execution records of which no cycle is kept."""

from django.db import OperationalError, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from governance.kernel import sql
from orbit.retention.batch import Batch, Preview

ENDED_MONTHS = sql.fragment(__name__, "ended_months")
OLD_MONTHS = sql.load(__name__, "old_months", ended_months=ENDED_MONTHS)
DROP_MONTH = sql.load(__name__, "drop_month")

KEPT = "cycles of its month are kept"
BUSY = "a backup or another long reader holds it"
_TABLES = {
    "orbit_cyclecheckpoint": "months_of_checkpoints",
    "orbit_recordgroup": "months_of_records",
}


def drop_months(until: str, after: tuple[str, ...], preview: Preview | None = None) -> Batch:
    """Drop the next month that ended before ``until``; a ``preview`` counts all.

    ``after``: month and table that were looked at last. It waits 50 ms for others; then the
    next prune drops the month.
    """
    batch = Batch(None)
    counted = preview.months if preview else {}
    rows = OLD_MONTHS.rows(until=until, counted=[*counted], numbers=[*counted.values()])
    for parent, month, is_kept in rows:
        if after and (str(month), parent) <= after:
            continue
        if is_kept:
            batch.kept[KEPT] += 1
            continue
        if preview:
            batch.deleted[_TABLES[parent]] += 1
            continue
        batch.after = (str(month), parent)
        try:
            with transaction.atomic():
                dropped = DROP_MONTH.one(parent=parent, month=month)
            batch.deleted[_TABLES[parent]] += 0 if dropped is None else int(dropped[0])
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
            batch.kept[BUSY] += 1
        return batch
    return batch
