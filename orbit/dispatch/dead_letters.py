"""Dead letters: never retried by the system; a person sends one again or dismisses it, and the letter remembers who, when and why."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.identifiers import uuid7, uuid7_text
from orbit import queue
from orbit.dispatch import endpoints, enqueue
from orbit.errors import AlreadyRequeued, AlreadyResolved, EndpointGone, LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.records import execution
from orbit.states import LETTER, Letter

Choice = Literal["snapshot", "current"]

# Two people at once make one job: the second finds no open letter. What has a success on record is never sent again. ``requeues`` tells a
# worker that holds the cycle that there is more to do than it knows; where nobody holds it, the cycle is due. Cycles are locked in one order,
# so that two of these never wait for each other.
REQUEUE = f"""WITH wanted AS (
    SELECT * FROM json_to_recordset(%(letters)s::json) AS x(id uuid, job_id uuid, snapshot_id uuid, delivery_id uuid, record_id uuid)),
letters AS (
    UPDATE orbit_deadletterdispatch l SET status = 'requeued', requeued_job_id = wanted.job_id, resolved_by = %(by)s,
        resolved_at = clock_timestamp(), resolved_reason = %(reason)s
    FROM wanted WHERE l.id = wanted.id AND l.status IN ({LETTER.sql_sources(Letter.REQUEUED)}) AND (
        SELECT true FROM orbit_dispatchjob o JOIN orbit_dispatchjob d ON d.delivery_id = o.delivery_id
        WHERE o.id = l.job_id AND d.status = 'delivered' LIMIT 1) IS NULL
    RETURNING l.id, l.job_id AS original_id, l.namespace, wanted.job_id, wanted.snapshot_id, wanted.delivery_id, wanted.record_id),
jobs AS (
    INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status, max_retries, next_attempt_at,
        requeue_of_id)
    SELECT letters.job_id, o.cycle_id, o.normalization_item_id, o.endpoint_key, coalesce(letters.snapshot_id, o.snapshot_id),
        coalesce(letters.delivery_id, o.delivery_id), 'pending', o.max_retries, clock_timestamp(), o.id
    FROM letters JOIN orbit_dispatchjob o ON o.id = letters.original_id RETURNING id, cycle_id, delivery_id),
made AS (SELECT letters.id, letters.namespace, letters.record_id, jobs.id AS job_id, jobs.cycle_id, jobs.delivery_id
    FROM letters JOIN jobs ON jobs.id = letters.job_id),
cycles AS MATERIALIZED (
    SELECT c.id FROM orbit_cyclerun c WHERE c.id IN (SELECT cycle_id FROM made) ORDER BY c.id FOR NO KEY UPDATE),
due AS (
    UPDATE orbit_cyclerun c SET requeues = c.requeues + 1,
        next_due_at = CASE WHEN c.lease_owner IS NULL THEN clock_timestamp() ELSE c.next_due_at END
    FROM cycles WHERE c.id = cycles.id),
records AS (
    INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT record_id, cycle_id, cycle_id, 'dispatch', 'dead_letter_requeued', 'info', namespace, %(reason)s, %(data)s::jsonb || jsonb_build_object(
        'dead_letter_id', id, 'requeued_job_id', job_id, 'delivery_id', delivery_id) FROM made)
SELECT id, job_id, namespace, delivery_id FROM made ORDER BY id"""

DISMISS = f"""WITH wanted AS (SELECT * FROM json_to_recordset(%(letters)s::json) AS x(id uuid, record_id uuid)),
letters AS (
    UPDATE orbit_deadletterdispatch l SET status = 'dismissed', resolved_by = %(by)s, resolved_at = clock_timestamp(), resolved_reason = %(reason)s
    FROM wanted WHERE l.id = wanted.id AND l.status IN ({LETTER.sql_sources(Letter.DISMISSED)}) RETURNING l.id, l.cycle_id, l.namespace, wanted.record_id),
records AS (
    INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, level, namespace, message, data)
    SELECT record_id, cycle_id, cycle_id, 'dispatch', 'dead_letter_dismissed', 'info', namespace, %(reason)s,
        %(data)s::jsonb || jsonb_build_object('dead_letter_id', id) FROM letters)
SELECT id, namespace FROM letters ORDER BY id"""


@dataclass(frozen=True, slots=True)
class Deed:
    """Who resolves letters, why, and how they are sent again; ``data`` goes on each letter's execution record."""

    by: str
    reason: str
    endpoint: Choice = "snapshot"
    new_key: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requeued:
    """A letter with the job that was made of it."""

    letter_id: UUID
    job_id: UUID
    namespace: str
    delivery_id: UUID


def requeue(
    letter_id: UUID,
    *,
    actor: Actor,
    reason: str,
    endpoint: Choice = "snapshot",
    new_key: bool = False,
) -> UUID:
    """Send the dead letter ``letter_id`` again; return the id of the new job.

    It goes to the endpoint as it was when the job was made, or with ``current`` as it is configured now, under the same delivery id, so
    that a receiver that did process the original doesn't act twice; ``new_key`` mints a new one by explicit choice. Raises LetterUnknown,
    also for one that ``actor`` doesn't see, AlreadyRequeued, AlreadyResolved, and EndpointGone when today's configuration has no such key.
    """
    actor.require(Scope.OPERATE)
    letter = find(letter_id, actor=actor)
    if endpoint == "current":
        # Before the transaction: it may lock the receiver's row, which those who hold a cycle lock after theirs.
        current_snapshot(letter.endpoint_key)
    with audit.transaction():
        made = requeue_all(
            {letter_id: letter.endpoint_key}, Deed(actor.name, reason, endpoint, new_key)
        )
        if not made:
            raise _refusal(letter_id)
        choice = {
            "requeued_job_id": str(made[0].job_id),
            "delivery_id": str(made[0].delivery_id),
            "endpoint": endpoint,
            "new_key": new_key,
        }
        _audit(
            Action.DEAD_LETTER_REQUEUED,
            letter,
            actor=actor,
            after={"status": str(Letter.REQUEUED), **choice},
            reason=reason,
        )
        queue.wake()
    return made[0].job_id


def dismiss(letter_id: UUID, *, actor: Actor, reason: str) -> None:
    """Close the dead letter ``letter_id`` without sending it; nothing is deleted.

    Raises LetterUnknown, also for one that ``actor`` doesn't see, AlreadyRequeued and AlreadyResolved.
    """
    actor.require(Scope.OPERATE)
    letter = find(letter_id, actor=actor)
    with audit.transaction():
        if not dismiss_all([letter_id], Deed(actor.name, reason)):
            raise _refusal(letter_id)
        _audit(
            Action.DEAD_LETTER_DISMISSED,
            letter,
            actor=actor,
            after={"status": str(Letter.DISMISSED)},
            reason=reason,
        )


def find(letter_id: UUID, *, actor: Actor) -> DeadLetterDispatch:
    """Return the letter. Raises LetterUnknown, also for one that ``actor`` doesn't see."""
    letter = DeadLetterDispatch.objects.filter(actor.filter(), pk=letter_id).first()
    if letter is None:
        raise LetterUnknown(f"There is no dead letter {letter_id}.")
    return letter


def requeue_all(letters: Mapping[UUID, str], deed: Deed) -> list[Requeued]:
    """Make a job of each of ``letters`` (with its endpoint key) that is open and not delivered; return those that were, by id. One statement, however many.

    The caller audits it, and wakes the workers. Raises EndpointGone.
    """
    snapshots = {
        key: current_snapshot(key) if deed.endpoint == "current" else None
        for key in set(letters.values())
    }
    wanted = [
        {
            "id": str(letter_id),
            "job_id": str(uuid7()),
            "snapshot_id": snapshots[key],
            "delivery_id": str(uuid.uuid4()) if deed.new_key else None,
        }
        for letter_id, key in letters.items()
    ]
    return [
        Requeued(*row)
        for row in _run(REQUEUE, wanted, deed, {"endpoint": deed.endpoint, "new_key": deed.new_key})
    ]


def dismiss_all(letters: Sequence[UUID], deed: Deed) -> list[tuple[UUID, str]]:
    """Close each of ``letters`` that is open; return (id, namespace) of those that were. One statement; the caller audits it."""
    return [
        (found, namespace)
        for found, namespace in _run(
            DISMISS, [{"id": str(letter_id)} for letter_id in letters], deed, {}
        )
    ]


def _run(
    sql: str, wanted: Sequence[Mapping[str, Any]], deed: Deed, data: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    values = {
        "letters": json.dumps(
            [{**letter, "record_id": uuid7_text()} for letter in wanted], default=str
        ),
        "by": deed.by,
        "reason": execution.clean(deed.reason),
        "data": json.dumps({"by": deed.by, **data, **deed.data}),
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def current_snapshot(endpoint_key: str) -> UUID:
    """Return the snapshot of the endpoint as it is configured now. Raises EndpointGone."""
    found = endpoints.configured().get(endpoint_key)
    if found is None:
        raise EndpointGone(
            f"No endpoint {endpoint_key!r} is configured now. Requeue with the snapshot, or configure it again."
        )
    return enqueue.snapshot_id(found)


def _audit(
    action: Action,
    letter: DeadLetterDispatch,
    *,
    actor: Actor,
    after: Mapping[str, Any],
    reason: str,
) -> None:
    audit.record(
        action,
        actor=actor.name,
        object_type="dead_letter",
        object_id=str(letter.pk),
        namespace=letter.namespace,
        before={"status": str(Letter.OPEN)},
        after=after,
        reason=reason,
    )


def _refusal(letter_id: UUID) -> AlreadyRequeued | AlreadyResolved:
    """Say what somebody else did with the letter meanwhile, or why it isn't to be sent."""
    letter = DeadLetterDispatch.objects.get(pk=letter_id)
    if letter.status == Letter.OPEN:
        return AlreadyResolved(
            "A success of this delivery is on record: it isn't sent again. Dismiss the letter."
        )
    when = f"by {letter.resolved_by} at {letter.resolved_at:%Y-%m-%d %H:%M:%S} UTC"
    if letter.status == Letter.REQUEUED:
        return AlreadyRequeued(
            f"It was requeued {when}.", dispatch_job_id=str(letter.requeued_job_id)
        )
    return AlreadyResolved(f"It was {letter.status.replace('_', ' ')} {when}.")
