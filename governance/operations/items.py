"""The objects of an operation run: fixed when it starts, taken slice by slice, each with what became of it.

What every bulk run does, whatever its objects are: begin, keep the outcomes of a slice, go on at the run's rate, end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from governance import audit
from governance.access.actors import Actor, NamespaceUnknown
from governance.audit.actions import Action
from governance.models import OperationRun
from governance.operations import counts, ledger
from governance.operations.guard import Slice
from governance.states import ItemOutcome, Outcome

SECONDS = 1.0

TAKE_NAMED = "INSERT INTO governance_operationrunitem (run_id, object_id) SELECT %(run)s, id FROM unnest(%(ids)s::uuid[]) AS id ORDER BY id"
SETTLE = """UPDATE governance_operationrunitem i SET outcome = x.outcome, detail = left(x.detail, 300)
FROM unnest(%(ids)s::uuid[], %(outcomes)s::text[], %(details)s::text[]) AS x(id, outcome, detail)
WHERE i.run_id = %(run)s AND i.object_id = x.id"""


@dataclass(frozen=True, slots=True)
class Started:
    """A run, how many objects it took, and whether this call made it."""

    run_id: UUID
    matched: int
    created: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one object."""

    id: UUID
    outcome: ItemOutcome
    detail: str = ""


def begin(
    type_: str,
    *,
    inputs: Mapping[str, Any],
    context: Mapping[str, Any],
    scope: list[str] | None,
    take: Callable[[OperationRun], int],
    most: int,
    actor: Actor,
    reason: str,
    wake: Callable[[UUID], None],
) -> Started:
    """Start the run of that type and ``inputs``, or return the active one, in one deed.

    ``take`` fixes its objects and returns how many, or one more than ``most`` where more match; ``wake`` has its first slice done. ``scope``
    are the namespaces that it may touch; None is all.
    """
    with audit.transaction():
        run, created = _ensure(type_, inputs, context, scope=scope, actor=actor, reason=reason)
        if not created:
            return Started(run.pk, int(run.progress.get("total", 0)), created=False)
        matched = take(run)
        total = min(matched, most)
        progress: dict[str, Any] = {
            "total": total,
            "processed": 0,
            "succeeded": 0,
            "failed": 0,
            "skipped": 0,
        }
        if matched > most:
            progress["note"] = (
                f"more than {most:,} match: these are the oldest; start another run for the rest"
            )
            progress["more"] = True
        audit.record(
            Action.OPERATION_STARTED,
            actor=actor.name,
            object_id=str(run.pk),
            namespace=scope[0] if scope and run.namespace_id is not None else None,
            after={"type": type_, **context, "total": total},
            reason=reason,
        )
        if total == 0:
            ledger.complete(
                run, Outcome.SKIPPED, progress, progress={**progress, "note": "nothing matches"}
            )
        else:
            ledger.progress(run, progress, wait=0.0)
            wake(run.pk)
    return Started(run.pk, total, created=True)


def _ensure(
    type_: str,
    inputs: Mapping[str, Any],
    context: Mapping[str, Any],
    *,
    scope: list[str] | None,
    actor: Actor,
    reason: str,
) -> tuple[OperationRun, bool]:
    if scope is not None and len(scope) == 1:
        return ledger.ensure_run_with_identity(
            scope[0], type_, inputs, initiator=actor.name, reason=reason, context=context
        )
    return ledger.ensure_workspace_run_with_identity(
        type_, inputs, initiator=actor.name, reason=reason, context=context, scope=scope
    )


def scope_of(actor: Actor, namespace: str | None) -> list[str] | None:
    """Return the namespaces that a run of ``actor`` may touch, of a filter for ``namespace`` that one; None is all. Raises NamespaceUnknown."""
    if namespace is not None:
        actor.require_namespace(namespace)
        return [namespace]
    if actor.namespaces is not None and not actor.namespaces:
        raise NamespaceUnknown("There is no namespace that you see.")
    return None if actor.namespaces is None else sorted(actor.namespaces)


def take_named(run: OperationRun, ids: Sequence[UUID]) -> int:
    """Make ``ids`` the run's objects; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_NAMED, {"run": run.pk, "ids": list(ids)})
    return len(ids)


def room(slice_: Slice, most: int) -> int:
    """Return how many objects this slice may take, ``most`` at most: the run's rate, and a second's worth more where it comes late."""
    return max(
        1, min(most, int(slice_.run.context["rate"] * (SECONDS + min(slice_.late, SECONDS))))
    )


def fresh(run: OperationRun) -> dict[str, Any]:
    """Return the run's progress without the note of what it waited for; that it took the oldest of too many stays."""
    return {
        key: value
        for key, value in run.progress.items()
        if key != "note" or run.progress.get("more")
    }


def settle(
    run: OperationRun, settled: Sequence[Settled], progress: Mapping[str, Any]
) -> dict[str, Any]:
    """Keep what became of objects; return ``progress`` with them counted."""
    ids, outcomes, details = (
        [item.id for item in settled],
        [str(item.outcome) for item in settled],
        [item.detail for item in settled],
    )
    with connection.cursor() as cursor:
        cursor.execute(
            SETTLE, {"run": run.pk, "ids": ids, "outcomes": outcomes, "details": details}
        )
    counted = {
        key: progress[key] + outcomes.count(key) for key in ("succeeded", "failed", "skipped")
    }
    return {**progress, **counted, "processed": progress["processed"] + len(settled)}


def go_on(run: OperationRun, progress: Mapping[str, Any]) -> datetime | None:
    """Keep how far the run is; return when its next slice is due, or None where all objects are done and it has ended."""
    if progress["processed"] < progress["total"]:
        return ledger.progress(run, progress, wait=SECONDS)
    end(run, outcome(progress), progress)
    return None


def outcome(progress: Mapping[str, Any]) -> Outcome:
    """Return how a run ended that went through all its objects. What was skipped is no failure."""
    if progress["succeeded"]:
        return Outcome.PARTIALLY_SUCCEEDED if progress["failed"] else Outcome.SUCCEEDED
    return Outcome.FAILED if progress["failed"] else Outcome.SKIPPED


def end(run: OperationRun, outcome: Outcome, progress: Mapping[str, Any]) -> None:
    """End the run."""
    ledger.complete(run, outcome, counts.of(progress), progress=progress)
