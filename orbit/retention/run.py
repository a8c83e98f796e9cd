"""The operation run ``ops.prune``: a day's retention, in slices of a second."""

import time
from datetime import datetime
from typing import Any

from governance import audit
from governance.access.actors import Actor
from governance.audit.actions import Action
from governance.models import OperationRun
from governance.operations import ledger
from governance.operations.slices import Slice
from governance.states import Outcome
from orbit.retention.sweep import Sweep, to_state

#: The type of the operation run.
TYPE = "ops.prune"
#: A slice takes about so long, and one batch more. In the pause the worker does other tasks.
SLICE_SECONDS, PAUSE_SECONDS = 1.0, 0.2


def start(actor: Actor) -> OperationRun:
    """Return the active run, or a new one. The caller does its slices, or maintenance."""
    actor.require_workspace()
    return ledger.ensure_workspace_run_with_identity(
        TYPE, {}, initiator=actor.name, reason="by hand"
    )[0]


def run_slice(slice_: Slice) -> datetime | None:
    """Do a second's work of the run. Return when the next slice is due, None at the end."""
    run, ends = slice_.run, time.monotonic() + SLICE_SECONDS
    sweep = Sweep(**run.progress["sweep"]) if "sweep" in run.progress else Sweep()
    while time.monotonic() < ends:
        done = sweep.advance()
        if done is None:
            _complete(run, sweep)
            return None
        if done == "months":
            break  # the lock that stops readers and writers ends with this transaction
    return ledger.save_progress(
        run, {**_progress(sweep), "sweep": to_state(sweep)}, wait=PAUSE_SECONDS
    )


def _progress(sweep: Sweep) -> dict[str, Any]:
    skipped = sum(sum(reasons.values()) for reasons in sweep.kept.values())
    return {
        "total": sweep.total + skipped,
        "processed": sweep.total + skipped,
        "succeeded": sweep.total,
        "skipped": skipped,
        "deleted": sweep.total,
        "record": sweep.to_json(),
    }


def _complete(run: OperationRun, sweep: Sweep) -> None:
    progress = _progress(sweep)
    outcome = Outcome.SUCCEEDED if sweep.total else Outcome.SKIPPED
    ledger.complete(run, outcome, ledger.counts_in(progress), progress=progress)
    if sweep.total:
        audit.record(
            Action.PRUNED,
            actor=run.initiator,
            object_id=str(run.pk),
            namespace=None,
            after=sweep.to_json(),
            reason="retention",
        )
