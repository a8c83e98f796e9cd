"""Dead letters: never retried by the system; a person sends one again or dismisses it, and the letter remembers who, when and why."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import sql
from governance.kernel.identifiers import uuid7, uuid7_text
from orbit import queue
from orbit.dispatch import endpoints, enqueue
from orbit.errors import AlreadyRequeued, AlreadyResolved, EndpointGone, LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.records import execution
from orbit.states import LETTER, Letter

Choice = Literal["snapshot", "current"]

REQUEUE = sql.load(__name__, "requeue", letter_sources=LETTER.sql_sources(Letter.REQUEUED))
DISMISS = sql.load(__name__, "dismiss", letter_sources=LETTER.sql_sources(Letter.DISMISSED))


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
    statement: sql.Statement,
    wanted: Sequence[Mapping[str, Any]],
    deed: Deed,
    data: Mapping[str, Any],
) -> list[tuple[Any, ...]]:
    return statement.rows(
        letters=json.dumps(
            [{**letter, "record_id": uuid7_text()} for letter in wanted], default=str
        ),
        by=deed.by,
        reason=execution.clean(deed.reason),
        data=json.dumps({"by": deed.by, **data, **deed.data}),
    )


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
