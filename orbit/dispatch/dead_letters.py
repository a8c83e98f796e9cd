"""Dead letters: never retried by the system; a person sends one again, and the letter remembers who, when and why."""

import uuid
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from governance.access.actors import Actor
from governance.access.roles import Power
from governance.audit import trail
from governance.kernel.identifiers import uuid7
from governance.rest import request_id
from orbit import queue
from orbit.dispatch import endpoints, enqueue
from orbit.errors import AlreadyRequeued, AlreadyResolved, EndpointGone, LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.records import execution
from orbit.records.execution import Record
from orbit.states import LETTER, Letter

# Two people at once make one job: the second finds no open letter. ``requeues`` tells a worker that holds the cycle that there is more to do
# than it knows; where nobody holds it, the cycle is due.
REQUEUE = f"""WITH letter AS (
    UPDATE orbit_deadletterdispatch l SET status = 'requeued', requeued_job_id = %(job)s, resolved_by = %(by)s, resolved_at = clock_timestamp(),
        resolved_reason = %(reason)s
    WHERE l.id = %(id)s AND l.status IN ({LETTER.sql_sources(Letter.REQUEUED)}) RETURNING l.job_id),
job AS (
    INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status, max_retries, next_attempt_at,
        requeue_of_id)
    SELECT %(job)s, o.cycle_id, o.normalization_item_id, o.endpoint_key, coalesce(%(snapshot)s, o.snapshot_id), coalesce(%(key)s, o.delivery_id),
        'pending', o.max_retries, clock_timestamp(), o.id
    FROM letter JOIN orbit_dispatchjob o ON o.id = letter.job_id RETURNING cycle_id, delivery_id)
UPDATE orbit_cyclerun c SET requeues = c.requeues + 1, next_due_at = CASE WHEN c.lease_owner IS NULL THEN clock_timestamp() ELSE c.next_due_at END
FROM job WHERE c.id = job.cycle_id RETURNING c.id, job.delivery_id"""


def requeue(
    letter_id: UUID, *, actor: Actor, reason: str, endpoint: Literal["snapshot", "current"] = "snapshot", new_key: bool = False
) -> UUID:
    """Send the dead letter ``letter_id`` again; return the id of the new job.

    It goes to the endpoint as it was when the job was made, or with ``current`` as it is configured now, under the same delivery id, so
    that a receiver that did process the original doesn't act twice; ``new_key`` mints a new one by explicit choice. Raises LetterUnknown,
    also for one that ``actor`` doesn't see, AlreadyRequeued, AlreadyResolved, and EndpointGone when today's configuration has no such key.
    """
    actor.require(Power.OPERATE)
    letter = DeadLetterDispatch.objects.filter(pk=letter_id).first()
    if letter is None or not actor.sees(letter.namespace):
        raise LetterUnknown(f"There is no dead letter {letter_id}.")
    job_id = uuid7()
    values: dict[str, Any] = {
        "id": letter_id,
        "job": job_id,
        "by": actor.name,
        "reason": execution.clean(reason),
        "snapshot": _current_snapshot(letter) if endpoint == "current" else None,
        "key": uuid.uuid4() if new_key else None,
    }
    with trail.deed():
        with connection.cursor() as cursor:
            cursor.execute(REQUEUE, values)
            row = cursor.fetchone()
        if row is None:
            raise _refusal(letter_id)
        cycle_id, delivery_id = row
        choice = {"requeued_job_id": str(job_id), "delivery_id": str(delivery_id), "endpoint": endpoint, "new_key": new_key}
        execution.write(
            Record("dispatch", "dead_letter_requeued", reason, data={"dead_letter_id": str(letter_id), "by": actor.name, **choice}),
            namespace=letter.namespace,
            cycle_id=cycle_id,
        )
        trail.record(
            "dead_letter.requeued",
            actor=actor.name,
            object_type="dead_letter",
            object_id=str(letter_id),
            namespace=letter.namespace,
            before={"status": str(Letter.OPEN)},
            after={"status": str(Letter.REQUEUED), **choice},
            reason=reason,
            request_id=request_id.current(),
        )
        queue.wake()
    return job_id


def _current_snapshot(letter: DeadLetterDispatch) -> UUID:
    found = endpoints.configured().get(letter.endpoint_key)
    if found is None:
        raise EndpointGone(f"No endpoint {letter.endpoint_key!r} is configured now. Requeue with the snapshot, or configure it again.")
    return enqueue.snapshot_id(found)


def _refusal(letter_id: UUID) -> AlreadyRequeued | AlreadyResolved:
    """Say what somebody else did with the letter meanwhile."""
    letter = DeadLetterDispatch.objects.get(pk=letter_id)
    when = f"by {letter.resolved_by} at {letter.resolved_at:%Y-%m-%d %H:%M:%S} UTC"
    if letter.status == Letter.REQUEUED:
        return AlreadyRequeued(f"It was requeued {when}.", dispatch_job_id=str(letter.requeued_job_id))
    return AlreadyResolved(f"It was {letter.status.replace('_', ' ')} {when}.")
