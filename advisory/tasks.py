"""The operation run ``advisory.signals``: all profiles, once per UTC day.

Its slices: compute, then let the policies of autonomy act. A slice that dies never happened.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from advisory.autonomy import computing
from advisory.signals import compute
from governance.access.actors import SYSTEM
from governance.kernel import sql
from governance.models import OperationRun
from governance.operations import ledger
from governance.operations.slices import Slice
from governance.states import Outcome

#: The type of the operation run.
TYPE = "advisory.signals"

ALLOW_LONG = sql.load(__name__, "allow_long")


def run_slice(slice_: Slice) -> datetime | None:
    """Do the next slice. Return when the one after it is due, None at the end."""
    run, progress = slice_.run, dict(slice_.run.progress)
    ALLOW_LONG.rows()
    if "computation" not in progress:
        computation = compute.compute(actor=SYSTEM)
        progress["computation"] = str(computation.row.pk)
        progress["total"] = progress["created"] = len(computation.signals)
        return ledger.save_progress(run, progress, wait=0.0)
    # In a transaction of its own: whatever becomes of this, the signals are on record.
    evaluation = computing.act_on(UUID(progress["computation"]))
    if evaluation.problem:
        progress["note"] = evaluation.problem
    return _complete(run, progress)


def _complete(run: OperationRun, progress: dict[str, Any]) -> None:
    ledger.complete(run, Outcome.SUCCEEDED, ledger.counts_in(progress), progress=progress)
