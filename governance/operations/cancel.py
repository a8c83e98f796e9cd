"""Cancel: at once. A slice that is at work commits first; no other one begins."""

from uuid import UUID

from django.db.models.functions import Now

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.models import OperationRun
from governance.operations import counts, ledger
from governance.states import OPERATION_ACTIVE, Outcome


def cancel(run_id: UUID, *, actor: Actor, reason: str) -> None:
    """End the run ``run_id`` as cancelled; what it did stays done, what it hasn't reached stays as it is.

    Raises OperationUnknown, also for one that ``actor`` doesn't see, and OperationFinished.
    """
    actor.require(Scope.OPERATE)
    found = ledger.find(run_id, actor=actor)
    with audit.transaction():
        # The lock is free between slices, so whoever has it knows that none is at work.
        run = OperationRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.status not in OPERATION_ACTIVE:
            raise ledger.OperationFinished(f"The operation run {run_id} has ended: {run.outcome}.")
        summary = counts.of(run.progress)
        note = {**run.progress, "note": f"cancelled by {actor.name}"}
        ledger.complete(
            run,
            Outcome.CANCELLED,
            summary,
            progress=note,
            cancel_requested_at=Now(),
            cancel_requested_by=actor.name,
        )
        audit.record(
            Action.OPERATION_CANCELLED,
            actor=actor.name,
            object_id=str(run_id),
            namespace=None if found.namespace is None else found.namespace.name,
            before={"status": run.status},
            after={"outcome": str(Outcome.CANCELLED), "type": run.type, **summary},
            reason=reason,
        )
