"""Cancel a whole run: its open roots, and by aggregate everything under them."""

from django.db.models.functions import Now

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from orbit.conductor import cascade
from orbit.errors import ConductorRunUnknown, InvalidTransition
from orbit.models import ConductorRun
from orbit.records import pruned
from orbit.states import TaskState


def cancel_run(run_id: str, *, actor: Actor, reason: str) -> ConductorRun:
    """Cancel the run's open tasks. The run ends with its roots, which aggregate notices.

    Cancelling it again changes nothing. Raises ConductorRunUnknown, and InvalidTransition if it
    has ended.
    """
    actor.require(Scope.OPERATE)
    with audit.transaction():
        run = ConductorRun.objects.select_for_update(no_key=True).filter(pk=run_id).first()
        if run is None or not actor.sees(run.namespace):
            raise ConductorRunUnknown(pruned.unknown("conductor run", run_id))
        if run.state not in (TaskState.PENDING, TaskState.RUNNING):
            raise InvalidTransition(f"The run {run_id} has ended: it is {run.state}.")
        if run.cancel_requested_at is None:
            ConductorRun.objects.filter(pk=run_id).update(
                cancel_requested_at=Now(), is_cancelling=True, cancelled_up_to=0
            )
            # The first at once: most runs have few roots.
            cascade.cancel_roots(run_id, 0)
            audit.record(
                Action.CONDUCTOR_RUN_CANCELLED,
                actor=actor.name,
                object_id=run_id,
                namespace=run.namespace,
                before={"state": run.state},
                after={"name": run.name},
                reason=reason,
            )
        run.refresh_from_db()
    return run
