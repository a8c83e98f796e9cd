"""Requeue or dismiss many dead letters by one operation run.

A slice locks its letters before it decides, so no other run or user resolves them too. Letters of
a halted namespace wait for later slices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from governance import audit
from governance.access.actors import Actor
from governance.audit.actions import Action
from governance.kernel import sql
from governance.models import OperationRun
from governance.namespaces import gate
from governance.operations.bulk import Batch, BulkAction, BulkFilter, ItemResult, StartedRun
from governance.states import ItemOutcome
from orbit import queue
from orbit.dispatch import canary, dead_letters, endpoints
from orbit.dispatch.dead_letters import Choice, Resolution
from orbit.records import execution
from orbit.states import Letter

#: The most ids in one request.
MAX_IDS = 1_000
#: The most letters that one run takes by a filter.
MAX_LETTERS = 100_000
#: Letters a second.
RATE, MAX_RATE = 10, 500
# A slice has one second; this many take less.
_BATCH_SIZE = 500
#: Why a letter that isn't open is skipped.
RESOLVED = {
    Letter.REQUEUED: "already requeued",
    Letter.DISMISSED: "already dismissed",
    Letter.DELIVERED_LATE: "delivered late already",
}

_OPEN_ITEMS = sql.fragment(__name__, "open_bulk_items")
#: A condition on the letter ``l``, with the parameters of a ``LetterFilter``.
LETTER_MATCHES = sql.fragment(__name__, "letter_matches")
_ADD_MATCHING = sql.load(__name__, "add_matching_letters", letter_matches=LETTER_MATCHES)
_NEXT = sql.load(__name__, "next_bulk_letters", open_bulk_items=_OPEN_ITEMS, gate_is_open=gate.OPEN)
_BLOCKED = sql.load(__name__, "blocked_bulk_namespaces", open_bulk_items=_OPEN_ITEMS)
_LOCK = sql.load(__name__, "lock_letters")


@dataclass(frozen=True, slots=True)
class LetterFilter(BulkFilter):
    """Which open letters. ``created_after`` is inclusive, ``created_before`` exclusive."""

    endpoint_key: str | None = None
    group: str | None = None
    reason: str | None = None
    cycle_run_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


LetterSelection = LetterFilter | Sequence[UUID]


@dataclass(frozen=True, slots=True)
class _LockedLetter:
    id: UUID
    status: str
    namespace: str
    endpoint_key: str


def requeue(
    selection: LetterSelection,
    *,
    actor: Actor,
    reason: str,
    endpoint: Choice = "snapshot",
    new_key: bool = False,
    rate: int = RATE,
    namespace: str | None = None,
) -> StartedRun:
    """Start a run that sends letters again. Raises as `BulkAction.start`."""
    return REQUEUE.start(
        selection,
        actor=actor,
        reason=execution.clean(reason),
        rate=rate,
        choices={"endpoint": endpoint, "new_key": new_key},
        namespace=namespace,
    )


def dismiss(
    selection: LetterSelection,
    *,
    actor: Actor,
    reason: str,
    rate: int = MAX_RATE,
    namespace: str | None = None,
) -> StartedRun:
    """Start a run that dismisses letters. Raises as `BulkAction.start`."""
    return DISMISS.start(
        selection, actor=actor, reason=execution.clean(reason), rate=rate, namespace=namespace
    )


def _add_matching(run: OperationRun, filters: LetterFilter, limit: int) -> int:
    row = _ADD_MATCHING.one(run=run.pk, limit=limit, scope=run.scope, **asdict(filters))
    return 0 if row is None else int(row[0])


def _requeue_batch(batch: Batch) -> list[ItemResult]:
    run = batch.run
    open_letters, results = _lock(batch)
    letters, without_endpoint = _split_by_endpoint(run, open_letters)
    results += without_endpoint
    if len(letters) > batch.limit:
        letters = letters[: batch.limit]
        results = [result for result in results if result.id < letters[-1].id]
    if not letters:
        return results
    requeued = dead_letters.requeue_all(
        {letter.id: letter.endpoint_key for letter in letters}, _resolution(run)
    )
    requeued_ids = {letter.letter_id for letter in requeued}
    results += [
        ItemResult(letter.letter_id, ItemOutcome.SUCCEEDED, f"requeued as job {letter.job_id}")
        for letter in requeued
    ]
    results += [
        ItemResult(letter.id, ItemOutcome.SKIPPED, "delivered already")
        for letter in letters
        if letter.id not in requeued_ids
    ]
    if requeued:
        _record_audit(
            run,
            Action.DEAD_LETTER_REQUEUED,
            [(letter.letter_id, letter.namespace) for letter in requeued],
            endpoint=run.context["endpoint"],
            new_key=run.context["new_key"],
        )
        queue.wake()
        canary.follow_from(batch.progress, requeued[0].letter_id, requeued[0].job_id)
    return results


def _dismiss_batch(batch: Batch) -> list[ItemResult]:
    letters, results = _lock(batch)
    dismissed = dead_letters.dismiss_all([letter.id for letter in letters], _resolution(batch.run))
    _record_audit(batch.run, Action.DEAD_LETTER_DISMISSED, dismissed)
    return results + [
        ItemResult(letter_id, ItemOutcome.SUCCEEDED, "dismissed") for letter_id, _ in dismissed
    ]


def _lock(batch: Batch) -> tuple[list[_LockedLetter], list[ItemResult]]:
    """Lock the letters; return the open ones, and the others' results."""
    rows = _LOCK.rows(ids=batch.ids, scope=batch.run.scope)
    letters = {row[0]: _LockedLetter(*row) for row in rows}
    open_letters, results = [], []
    for letter_id in batch.ids:
        letter = letters.get(letter_id)
        if letter is None:
            detail = "there is no such dead letter"
            results.append(ItemResult(letter_id, ItemOutcome.FAILED, detail))
        elif letter.status == Letter.OPEN:
            open_letters.append(letter)
        else:
            detail = RESOLVED[Letter(letter.status)]
            results.append(ItemResult(letter_id, ItemOutcome.SKIPPED, detail))
    return open_letters, results


def _split_by_endpoint(
    run: OperationRun, letters: Sequence[_LockedLetter]
) -> tuple[list[_LockedLetter], list[ItemResult]]:
    """Return the letters that have an endpoint, and the others' results."""
    if run.context["endpoint"] != "current":
        return list(letters), []
    configured = endpoints.configured()
    return [letter for letter in letters if letter.endpoint_key in configured], [
        ItemResult(
            letter.id,
            ItemOutcome.FAILED,
            f"no endpoint {letter.endpoint_key!r} is configured now",
        )
        for letter in letters
        if letter.endpoint_key not in configured
    ]


def _resolution(run: OperationRun) -> Resolution:
    return Resolution(
        run.initiator,
        run.reason,
        run.context.get("endpoint", "snapshot"),
        run.context.get("new_key", False),
        {"operation_run_id": str(run.pk)},
    )


def _record_audit(
    run: OperationRun, action: Action, letters: Iterable[tuple[UUID, str]], **choices: Any
) -> None:
    # An audit entry has one namespace.
    for namespace, group in groupby(sorted(letters, key=itemgetter(1)), key=itemgetter(1)):
        ids = [str(letter_id) for letter_id, _ in group]
        audit.record(
            action,
            actor=run.initiator,
            object_type="operation_run",
            object_id=str(run.pk),
            namespace=namespace,
            after={"count": len(ids), "dead_letter_ids": ids, **choices},
            reason=run.reason,
        )


def _wake(run_id: UUID) -> None:
    queue.wake(queue.OPERATE, str(run_id))


REQUEUE = BulkAction(
    type="dlq.bulk_requeue",
    max_objects=MAX_LETTERS,
    rate=RATE,
    max_rate=MAX_RATE,
    batch_size=_BATCH_SIZE,
    add_matching=_add_matching,
    next_items=_NEXT,
    blocked=_BLOCKED,
    blocked_by="halted namespaces",
    apply=_requeue_batch,
    wake=_wake,
    canary=canary.check,
)
DISMISS = BulkAction(
    type="dlq.bulk_dismiss",
    max_objects=MAX_LETTERS,
    rate=MAX_RATE,
    max_rate=MAX_RATE,
    batch_size=_BATCH_SIZE,
    add_matching=_add_matching,
    next_items=_NEXT,
    blocked=_BLOCKED,
    blocked_by="halted namespaces",
    apply=_dismiss_batch,
    wake=_wake,
)
