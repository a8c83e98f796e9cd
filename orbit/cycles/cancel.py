"""Cancel: at once, on a halted cycle too."""

from uuid import UUID

from django.db import connection

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from orbit.cycles import namespace_queue
from orbit.dispatch import dead_letters
from orbit.errors import CycleFinished, CycleUnknown
from orbit.models import CycleRun
from orbit.records import execution
from orbit.records.execution import Record
from orbit.states import ACTIVE, CYCLE, Cycle, Job

# The token is bumped, so whoever carries the cycle writes nothing more but a 2xx that it has received.
CANCEL = f"""WITH held AS (SELECT id, status FROM orbit_cyclerun WHERE id = %(id)s AND status IN ({CYCLE.sql_sources(Cycle.CANCELLED)}) FOR NO KEY UPDATE)
UPDATE orbit_cyclerun c SET status = 'cancelled', finished_at = clock_timestamp(), fencing_token = c.fencing_token + 1, lease_owner = NULL,
    lease_expires_at = NULL, next_due_at = NULL, reason = %(reason)s
FROM held WHERE c.id = held.id RETURNING held.status"""
# Two statements after it, in its transaction: the first may have waited for the worker's write, and sees nothing of what that write made.
JOBS = f"""UPDATE orbit_dispatchjob j SET status = {dead_letters.ENDED_SQL}, next_attempt_at = NULL, finished_at = clock_timestamp(),
    last_error = 'the cycle was cancelled'
WHERE j.cycle_id = %(id)s AND j.status = 'pending' RETURNING j.id, j.status"""
# Requests in flight end by themselves; the cycle stays due until the longest of them is over, so that their attempts are closed.
IN_FLIGHT = """UPDATE orbit_cyclerun c SET next_due_at = clock_timestamp() + interval '130 seconds'
WHERE c.id = %(id)s AND EXISTS (SELECT 1 FROM orbit_dispatchjob j JOIN orbit_deliveryreceipt r ON r.job_id = j.id
    WHERE j.cycle_id = c.id AND r.status = 'sending')"""


def cancel(cycle_id: UUID, *, actor: Actor, reason: str) -> None:
    """End the cycle ``cycle_id`` now; its unsent deliveries are cancelled, what was delivered stays. Where it was active, the next one is.

    Deliveries that a letter was requeued to are dead letters again.

    Raises CycleUnknown, also for a cycle that ``actor`` doesn't see, and CycleFinished when its status is final.
    """
    actor.require(Scope.OPERATE)
    namespace = (
        CycleRun.objects.filter(pk=cycle_id).values_list("namespace__name", flat=True).first()
    )
    if namespace is None or not actor.sees(namespace):
        raise CycleUnknown(f"There is no cycle {cycle_id}.")
    with audit.transaction():
        with connection.cursor() as cursor:
            cursor.execute(
                CANCEL,
                {
                    "id": cycle_id,
                    "reason": execution.clean(
                        f"cancelled by {actor.name}: {reason or 'none given'}"
                    ),
                },
            )
            row = cursor.fetchone()
            if row is None:
                raise CycleFinished(
                    f"The cycle {cycle_id} has finished: nothing is left to cancel."
                )
            cursor.execute(JOBS, {"id": cycle_id})
            ended = cursor.fetchall()
            cursor.execute(IN_FLIGHT, {"id": cycle_id})
        letters = dead_letters.dead_letter_all(
            [job for job, status in ended if status == Job.DEAD], reason="cancelled"
        )
        if row[0] in ACTIVE:
            namespace_queue.promote_next(namespace)
        execution.write(
            Record(
                "cycle",
                "cycle_cancelled",
                reason,
                "warning",
                {"by": actor.name, "jobs": len(ended)},
            ),
            namespace=namespace,
            cycle_id=cycle_id,
        )
        audit.record(
            Action.CYCLE_CANCELLED,
            actor=actor.name,
            object_id=str(cycle_id),
            namespace=namespace,
            before={"status": row[0]},
            after={
                "status": str(Cycle.CANCELLED),
                "jobs_cancelled": len(ended),
                **({"dead_letters": letters} if letters else {}),
            },
            reason=reason,
        )
