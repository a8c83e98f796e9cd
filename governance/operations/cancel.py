"""Cancel an operation run."""

from uuid import UUID

from django.db.models.functions import Now

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.models import OperationRun
from governance.operations import ledger
from governance.states import OPERATION_ACTIVE, Outcome


def cancel(run_id: UUID, *, actor: Actor, reason: str) -> None:
    """End the run as cancelled; what it did stays done.

    Raises OperationUnknown and OperationFinished.
    """
    actor.require(Scope.OPERATE)
    namespace = ledger.find(run_id, actor=actor).namespace
    with audit.transaction():
        # A slice holds this lock, so a slice that is being done commits first.
        run = OperationRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.status not in OPERATION_ACTIVE:
            raise ledger.OperationFinished(f"The operation run {run_id} has ended: {run.outcome}.")
        counts = ledger.counts_in(run.progress)
        ledger.complete(
            run,
            Outcome.CANCELLED,
            counts,
            progress={**run.progress, "note": f"cancelled by {actor.name}"},
            cancel_requested_at=Now(),
            cancel_requested_by=actor.name,
        )
        audit.record(
            Action.OPERATION_CANCELLED,
            actor=actor.name,
            object_id=str(run_id),
            namespace=None if namespace is None else namespace.name,
            before={"status": run.status},
            after={"outcome": str(Outcome.CANCELLED), "type": run.type, **counts},
            reason=reason,
        )
