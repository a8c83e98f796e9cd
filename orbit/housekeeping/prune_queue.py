"""The operation run ``ops.prune_queue``: old queue rows and results, old operation runs, and
other short-lived rows.
"""

from datetime import datetime

from django.conf import settings

from governance.operations import ledger, retention
from governance.operations.slices import Slice
from governance.states import Outcome
from orbit.cycles import maintenance

#: The type of the operation run.
TYPE = "ops.prune_queue"
LIMIT, PAUSE_SECONDS = 10_000, 0.2


def run_slice(slice_: Slice) -> datetime | None:
    """Delete up to ``LIMIT`` rows of each table; the next slice goes on if there may be more."""
    run = slice_.run
    deleted = maintenance.prune(limit=LIMIT)
    # With their items.
    deleted["operation_runs"] = retention.delete_old(settings.ORBIT_RETENTION_DAYS, limit=LIMIT)
    tables = dict(run.progress.get("tables", {}))
    for table, count in deleted.items():
        tables[table] = tables.get(table, 0) + count
    total = sum(tables.values())
    progress = {"total": total, "processed": total, "deleted": total, "tables": tables}
    if max(deleted.values()) >= LIMIT:
        return ledger.save_progress(run, progress, wait=PAUSE_SECONDS)
    ledger.complete(run, Outcome.SUCCEEDED, ledger.counts_in(progress), progress=progress)
    return None
