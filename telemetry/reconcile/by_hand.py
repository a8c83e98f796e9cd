"""Do a run in this process, as commands do: it needs no cluster."""

import time
from typing import Any

from governance.models import OperationRun
from governance.operations import slices
from governance.states import Operation
from telemetry.reconcile import run as reconcile

_LOOK_AGAIN_SECONDS = 0.1


def perform(run: OperationRun) -> OperationRun:
    """Do the slices of ``run`` until it has ended, beside other processes; return it."""
    while run.status != Operation.COMPLETED:
        slices.do_next(run.pk, {reconcile.TYPE: reconcile.run_slice}, wake=lambda *_: None)
        before = run.progress
        run = OperationRun.objects.get(pk=run.pk)
        if run.progress == before and run.status != Operation.COMPLETED:
            time.sleep(_LOOK_AGAIN_SECONDS)  # another process does it, or it failed and waits
    return run


def to_dict(run: OperationRun) -> dict[str, Any]:
    """Return what a completed run found and did."""
    progress = run.progress
    return {
        **progress["drift"],
        **progress["metrics"],
        "projection_drift_count": progress["total"],
        **{name: progress[name] for name in ("created", "updated", "skipped", "rebuilt")},
        "authority": progress["authority"],
        "drifting_runs": progress["drifting_runs"],
        "operation_run_id": run.pk,
    }
