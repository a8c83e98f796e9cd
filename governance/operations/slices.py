"""Do the slices of operation runs, one at a time for each run.

A task does one slice in one transaction, which first locks the run's row. So a duplicate task does
nothing, and a slice whose worker dies never happened.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from governance import audit
from governance.access import still_allowed
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.access.still_allowed import Initiator
from governance.audit.actions import Action
from governance.kernel import availability, sql
from governance.models import OperationRun
from governance.operations import ledger
from governance.states import OPERATION, Operation, Outcome

log = logging.getLogger(__name__)

#: A run ends as failed after so many failed slices in a row.
MAX_FAULTS = 5
# A type that this release doesn't know may belong to a newer one that runs beside it.
UNKNOWN_TYPE_WAIT_SECONDS = 30.0
#: No slice waits for longer.
LONGEST_PAUSE_SECONDS = 600.0

# Whose permission each slice needs.
_STARTED_BY = "started_by"

_CLAIM = sql.load(__name__, "claim_slice", longest_pause=LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of a run, for this transaction only; ``late`` is in seconds."""

    run: OperationRun
    late: float


#: Does one slice and returns when the next one is due, or None if the run has ended.
SliceHandler = Callable[[Slice], datetime | None]


def do_next(
    run_id: UUID, handlers: Mapping[str, SliceHandler], *, wake: Callable[[UUID, datetime], None]
) -> None:
    """Do the run's next slice and wake the one after it. Raises if the database is away."""
    try:
        with audit.transaction():
            slice_ = _claim(run_id)
            if slice_ is None:
                return
            if _stop_if_lost(slice_.run):
                return
            handler = handlers.get(slice_.run.type)
            due = (
                ledger.save_progress(
                    slice_.run, slice_.run.progress, wait=UNKNOWN_TYPE_WAIT_SECONDS
                )
                if handler is None
                else handler(slice_)
            )
            if due is not None:
                wake(run_id, due)
    except Exception as error:
        # A statement that takes too long each time must not be repeated for ever.
        if availability.is_away(error) and not availability.is_too_slow(error):
            raise  # nothing happened, and maintenance wakes the run again
        # Any other error is tried again, but not for ever: MAX_FAULTS in a row fail the run.
        log.exception("A slice of the operation run %s failed", run_id)
        due = _record_fault(run_id, error)
        if due is not None:
            wake(run_id, due)


def started_by(actor: Actor) -> dict[str, Any]:
    """Return the member of a run's context by which each slice checks ``actor`` again."""
    members = Initiator.of(actor).to_json()
    return {_STARTED_BY: members} if members else {}


def _stop_if_lost(run: OperationRun) -> bool:
    """End a run whose initiator may not do it any more; what it did stays done."""
    initiator = Initiator.read(run.context.get(_STARTED_BY), run.initiator)
    reason = still_allowed.lost(initiator, Scope.OPERATE, run.scope)
    if not reason:
        return False
    counts = ledger.counts_in(run.progress)
    note = {**run.progress, "note": f"stopped: {reason}"}
    ledger.complete(run, Outcome.CANCELLED, counts, progress=note)
    audit.record(
        Action.OPERATION_CANCELLED,
        actor="orbit",
        object_id=str(run.pk),
        namespace=run.scope[0] if run.scope and run.namespace_id is not None else None,
        before={"status": run.status, "initiator": run.initiator},
        after={"outcome": str(Outcome.CANCELLED), "type": run.type, **counts},
        reason=f"Stopped: {reason}.",
    )
    return True


def _claim(run_id: UUID) -> Slice | None:
    runs = list(OperationRun.objects.raw(_CLAIM.text, {"id": run_id}))
    if not runs:
        return None
    run = runs[0]
    # Only one run of an identity works: of two, all but the canonical one end.
    if run.doubled:  # type: ignore[attr-defined] # a column of the statement, not of the table
        note = {**run.progress, "note": "another run of the same identity is active"}
        ledger.complete(run, Outcome.SKIPPED, ledger.counts_in(run.progress), progress=note)
        return None
    if run.status == Operation.QUEUED:
        OPERATION.move(OperationRun.objects.filter(pk=run.pk), Operation.RUNNING, started_at=Now())
    return Slice(run, max(0.0, run.late))  # type: ignore[attr-defined] # as above


def _record_fault(run_id: UUID, error: Exception) -> datetime | None:
    with transaction.atomic():
        run = OperationRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.status == Operation.COMPLETED:
            return None
        faults = run.faults + 1
        if faults >= MAX_FAULTS:
            note = f"given up after {MAX_FAULTS} failures in a row: {type(error).__name__}"
            ledger.complete(
                run,
                Outcome.FAILED,
                ledger.counts_in(run.progress),
                progress={**run.progress, "note": note},
                faults=faults,
            )
            return None
        OPERATION.move(
            OperationRun.objects.filter(pk=run_id, status=Operation.QUEUED),
            Operation.RUNNING,
            started_at=Now(),
        )
        due = ledger.save_progress(run, run.progress, wait=2.0**run.faults)
        OperationRun.objects.filter(pk=run_id).update(faults=faults)
        return due
