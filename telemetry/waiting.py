"""Operation runs that need telemetry's own database wait while it takes nothing."""

from datetime import datetime

from django.db import InterfaceError, OperationalError

from governance.kernel import availability, sql
from governance.operations import ledger
from governance.operations.slices import Slice, SliceHandler
from telemetry import database

#: So often a waiting run looks again.
LOOK_AGAIN_SECONDS = 30.0
#: How the note of a run that waits begins.
NOTE = "waiting for telemetry's database: "

# The main database's transaction idles while the other one is looked for.
ALLOW_IDLE = sql.load(__name__, "allow_idle")


def for_database(run_slice: SliceHandler) -> SliceHandler:
    """Return a handler that says in the run's note why it waits, and else does ``run_slice``."""

    def run(slice_: Slice) -> datetime | None:
        progress = slice_.run.progress
        if str(progress.get("note", "")).startswith(NOTE):
            del progress["note"]
        trouble = problem()
        if trouble is None:
            return run_slice(slice_)
        note = {**progress, "note": f"{NOTE}{trouble}"}
        return ledger.save_progress(slice_.run, note, wait=LOOK_AGAIN_SECONDS)

    return run


def problem() -> str | None:
    """Return why telemetry's own database takes nothing now; None if it does, or is the main one.

    Call it in a transaction of the main one.
    """
    if not database.IS_SEPARATE:
        return None
    ALLOW_IDLE.rows()
    try:
        return _ask()
    except (OperationalError, InterfaceError):
        # Perhaps only this connection is of no more use.
        database.connection().close()
    try:
        return _ask()
    except (OperationalError, InterfaceError) as error:
        database.connection().close()
        return " ".join(str(error).split())


def _ask() -> str | None:
    with database.connection().cursor() as cursor:
        cursor.execute(availability.IS_READ_ONLY)
        return "it is read-only" if cursor.fetchone() == (True,) else None
