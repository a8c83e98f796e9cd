"""Dead letters: deliveries that were given up."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import routing, sql
from governance.kernel.identifiers import uuid7, uuid7_text
from orbit import queue
from orbit.dispatch import endpoints, enqueue
from orbit.errors import AlreadyRequeued, AlreadyResolved, EndpointGone, LetterUnknown
from orbit.models import DeadLetterDispatch
from orbit.records import execution, pruned
from orbit.records.execution import Record
from orbit.states import LETTER, Letter

Choice = Literal["snapshot", "current"]

REQUEUE = sql.load(__name__, "requeue", letter_sources=LETTER.sql_sources(Letter.REQUEUED))
DISMISS = sql.load(__name__, "dismiss", letter_sources=LETTER.sql_sources(Letter.DISMISSED))
FILTER_REQUEUED = sql.load(__name__, "filter_requeued")
DEAD_LETTER_ALL = sql.load(__name__, "dead_letter_all")
#: A value in statements that end a cycle: what becomes of its job ``j``.
ENDED_STATUS = sql.fragment(__name__, "ended_status")


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who resolves letters, why, and how they are sent again."""

    by: str
    reason: str
    #: ``snapshot``: as it was when the job was made. ``current``: as it is configured now.
    endpoint: Choice = "snapshot"
    #: Make a new delivery id. With the old one, a receiver that has it doesn't act twice.
    new_key: bool = False
    #: For each letter's execution record.
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requeued:
    """A letter and the job that was made of it."""

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
    """Send a dead letter again; return the id of the new job.

    Raises LetterUnknown, AlreadyRequeued, AlreadyResolved and EndpointGone.
    """
    actor.require(Scope.OPERATE)
    letter = find(letter_id, actor=actor)
    if endpoint == "current":
        # Before the transaction: it may lock the endpoint's row, which workers lock after cycles.
        current_snapshot(letter.endpoint_key)
    with audit.transaction():
        requeued = requeue_all(
            {letter_id: letter.endpoint_key}, Resolution(actor.name, reason, endpoint, new_key)
        )
        if not requeued:
            raise _refusal(letter_id)
        changes = {
            "status": str(Letter.REQUEUED),
            "requeued_job_id": str(requeued[0].job_id),
            "delivery_id": str(requeued[0].delivery_id),
            "endpoint": endpoint,
            "new_key": new_key,
        }
        _audit(Action.DEAD_LETTER_REQUEUED, letter, actor=actor, after=changes, reason=reason)
        queue.wake()
    return requeued[0].job_id


def dismiss(letter_id: UUID, *, actor: Actor, reason: str) -> None:
    """Close a dead letter without sending it.

    Raises LetterUnknown, AlreadyRequeued and AlreadyResolved.
    """
    actor.require(Scope.OPERATE)
    letter = find(letter_id, actor=actor)
    with audit.transaction():
        if not dismiss_all([letter_id], Resolution(actor.name, reason)):
            raise _refusal(letter_id)
        changes = {"status": str(Letter.DISMISSED)}
        _audit(Action.DEAD_LETTER_DISMISSED, letter, actor=actor, after=changes, reason=reason)


def find(letter_id: UUID, *, actor: Actor) -> DeadLetterDispatch:
    """Return the letter. Raises LetterUnknown, also if ``actor`` can't see it."""
    letter = DeadLetterDispatch.objects.filter(actor.filter(), pk=letter_id).first()
    if letter is None:
        raise LetterUnknown(pruned.unknown("dead letter", letter_id))
    return letter


def newest(
    actor: Actor, *, status: str, group: str | None = None, limit: int
) -> list[DeadLetterDispatch]:
    """Return the newest letters that ``actor`` sees."""
    letters = DeadLetterDispatch.objects.filter(actor.filter(), status=status).order_by("-id")
    if group is not None:
        letters = letters.filter(error_group=group)
    return list(letters[:limit])


def requeue_all(endpoint_keys: Mapping[UUID, str], resolution: Resolution) -> list[Requeued]:
    """Requeue those letters that are open; return them. Raises EndpointGone.

    The caller audits it and wakes the workers.
    """
    snapshots = {
        key: current_snapshot(key) if resolution.endpoint == "current" else None
        for key in set(endpoint_keys.values())
    }
    letters = [
        {
            "id": str(letter_id),
            "job_id": str(uuid7()),
            "snapshot_id": snapshots[key],
            "delivery_id": str(uuid.uuid4()) if resolution.new_key else None,
        }
        for letter_id, key in endpoint_keys.items()
    ]
    choice = {"endpoint": resolution.endpoint, "new_key": resolution.new_key}
    return [Requeued(*row) for row in _resolve(REQUEUE, letters, resolution, choice)]


def dismiss_all(letter_ids: Sequence[UUID], resolution: Resolution) -> list[tuple[UUID, str]]:
    """Dismiss the open letters; return ids and namespaces. The caller audits it."""
    letters = [{"id": str(letter_id)} for letter_id in letter_ids]
    return [(id_, namespace) for id_, namespace in _resolve(DISMISS, letters, resolution, {})]


def current_snapshot(endpoint_key: str) -> UUID:
    """Return the configured endpoint's snapshot. Raises EndpointGone."""
    endpoint = endpoints.configured().get(endpoint_key)
    if endpoint is None:
        raise EndpointGone(
            f"No endpoint {endpoint_key!r} is configured now. "
            "Requeue with the snapshot, or configure it again."
        )
    return enqueue.snapshot_id(endpoint)


def filter_requeued(job_ids: Collection[UUID]) -> set[UUID]:
    """Return those jobs that a letter was requeued to."""
    return {job_id for (job_id,) in FILTER_REQUEUED.rows(jobs=list(job_ids))}


def dead_letter_all(job_ids: Sequence[UUID], *, reason: str) -> list[str]:
    """Make a dead letter of each requeued job; return the letters' ids.

    Call it in the transaction that ends the jobs. The caller audits it.
    """
    if not job_ids:
        return []
    # Their first letters are closed: without new ones the deliveries are lost.
    jobs = [{"letter_id": uuid7_text(), "job_id": str(job_id)} for job_id in job_ids]
    rows = DEAD_LETTER_ALL.rows(jobs=json.dumps(jobs), reason=reason)
    # In a statement of its own: the end doesn't depend on what reports it.
    execution.write_all(
        [
            (
                Record(
                    "dispatch",
                    "dead_letter_created",
                    f"{key}: requeued, and then {last_error}",
                    "error",
                    {"job_id": str(job_id), "reason": reason},
                ),
                namespace,
                cycle_id,
            )
            for _, job_id, cycle_id, namespace, key, last_error in rows
        ]
    )
    return [str(row[0]) for row in rows]


def _resolve(
    statement: sql.Statement,
    letters: Sequence[Mapping[str, Any]],
    resolution: Resolution,
    data: Mapping[str, Any],
) -> list[tuple[Any, ...]]:
    rows = [{**letter, "record_id": uuid7_text()} for letter in letters]
    values = {
        "letters": json.dumps(rows, default=str),
        "by": resolution.by,
        "reason": execution.clean(resolution.reason),
        "data": json.dumps({"by": resolution.by, **data, **resolution.data}),
    }
    return routing.run(lambda: statement.rows(**values))


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
    letter = DeadLetterDispatch.objects.get(pk=letter_id)
    # Still open, but refused: another job of the same delivery succeeded.
    if letter.status == Letter.OPEN:
        return AlreadyResolved(
            "This delivery has a success on record and isn't sent again. Dismiss the letter."
        )
    when = f"by {letter.resolved_by} at {letter.resolved_at:%Y-%m-%d %H:%M:%S} UTC"
    if letter.status == Letter.REQUEUED:
        return AlreadyRequeued(
            f"It was requeued {when}.", dispatch_job_id=str(letter.requeued_job_id)
        )
    return AlreadyResolved(f"It was {letter.status.replace('_', ' ')} {when}.")
