"""The operation run ``ops.reconcile_adapter_runs``: find work whose worker is gone.

Adapters are what does work for Orbit: its own workers, and those elsewhere. Nothing depends on this
run: each kind of work is found by the next claim, or by a sweep of each second. It mends what they
leave, and its record says what was lost.
"""

from datetime import datetime
from typing import Any

from django.conf import settings

from governance.kernel import sql
from governance.operations import ledger, slices
from governance.operations.slices import Slice
from governance.states import Outcome
from orbit.conductor import leases
from orbit.cycles import halt_certificates, maintenance

#: The type of the operation run.
TYPE = "ops.reconcile_adapter_runs"
KINDS = ("operations", "cycles", "deliveries", "tasks")
#: Each kind is counted so far.
COUNTED = 10_000
#: So many tasks get ready in one slice.
TASKS = 1_000

FIND_LOST = sql.load(__name__, "find_lost_work", longest_pause=slices.LONGEST_PAUSE_SECONDS)


def run_slice(slice_: Slice) -> datetime | None:
    """Mend what is found; the next slice goes on with tasks if there may be more."""
    run = slice_.run
    progress: dict[str, Any] = dict(run.progress) or _mend(slice_)
    released = len(leases.expire(TASKS))
    progress["tasks"] = _kind(progress["tasks"]["found"], progress["tasks"]["mended"] + released)
    progress |= _counts(progress)
    if released == TASKS:
        return ledger.save_progress(run, progress, wait=0.0)
    ledger.complete(run, Outcome.SUCCEEDED, ledger.counts_in(progress), progress=progress)
    return None


def _mend(slice_: Slice) -> dict[str, Any]:
    (lost,) = FIND_LOST.rows(
        run=slice_.run.pk, late=maintenance.OPERATION_FORGOTTEN_AFTER, most=COUNTED
    )
    by_kind = dict(zip(KINDS, lost, strict=True))
    mended = {
        # Wake-ups: a woken worker goes on while something is due.
        "operations": maintenance.wake_operations() if by_kind["operations"] else 0,
        "cycles": maintenance.rescue(settings.ORBIT_WORKERS) if by_kind["cycles"] else 0,
        # Closed under a halt or a pause. Else the next claim of their cycle sends them again.
        "deliveries": halt_certificates.close_abandoned() if by_kind["deliveries"] else 0,
        "tasks": 0,
    }
    return {kind: _kind(by_kind[kind], mended[kind]) for kind in KINDS}


def _kind(counted: int, mended: int) -> dict[str, int]:
    # Counting stops at COUNTED, and meanwhile more may have got lost.
    return {"found": max(counted, mended), "mended": mended}


def _counts(progress: dict[str, Any]) -> dict[str, int]:
    total = sum(progress[kind]["found"] for kind in KINDS)
    mended = sum(progress[kind]["mended"] for kind in KINDS)
    return {"total": total, "processed": total, "updated": mended}
