"""One action on many objects, as an operation run over a list that is fixed at the start.

With a canary, one object goes first: the others wait until it succeeds, and are left alone if it
fails.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from governance import audit
from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import sql
from governance.models import OperationRun
from governance.namespaces import gate
from governance.operations import ledger
from governance.operations.slices import Slice, started_by
from governance.states import ItemOutcome, Outcome

SLICE_SECONDS = 1.0
#: How soon a run looks again if all objects that are left are blocked.
BLOCKED_SECONDS = 2.0
#: How many objects are looked through for a canary; those that need no action are settled.
_CANARY_CANDIDATES = 100
_MAX_NAMED = 5

_ADD_ITEMS = sql.load(__name__, "add_items")
_SAVE_RESULTS = sql.load(__name__, "save_results")


@dataclass(frozen=True, slots=True)
class BulkFilter:
    """Which objects to take. A condition that is None doesn't count."""

    namespace: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the conditions as text, by name."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in asdict(self).items()
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run, its number of objects, and whether this call created it."""

    run_id: UUID
    matched: int
    created: bool

    def sentence(self, objects: str) -> str:
        """Return which run takes how many ``objects``."""
        verb = "takes" if self.created else "is active already and takes"
        return f"Operation run {self.run_id} {verb} {self.matched} {objects}."


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The result of the action for one object."""

    id: UUID
    outcome: ItemOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """The objects of one slice, oldest first."""

    run: OperationRun
    ids: list[UUID]
    #: The action changes at most so many and returns no result for those that must wait.
    limit: int
    progress: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TakeNext:
    """Take the next objects, or only one with ``canary_only``."""

    progress: dict[str, Any]
    canary_only: bool = False


@dataclass(frozen=True, slots=True)
class WaitForCanary:
    """Take nothing in this slice."""

    note: str


@dataclass(frozen=True, slots=True)
class StopRun:
    """End the run; ``progress`` holds a note that says why."""

    outcome: Outcome
    progress: dict[str, Any]


CanaryDecision = TakeNext | WaitForCanary | StopRun
F = TypeVar("F", bound=BulkFilter)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkAction(Generic[F]):
    """What a bulk run does with its objects, and how fast."""

    type: str
    max_objects: int
    rate: int
    """Objects a second, unless the caller chooses up to ``max_rate``."""
    max_rate: int
    batch_size: int
    """Objects that a slice can do within its second."""
    # Makes the oldest matches the run's items, at most as many as the third argument. Returns how
    # many match; one more than that argument if there are more.
    add_matching: Callable[[OperationRun, F, int], int]
    # Both statements take `run`, `scope` (the namespaces that the run may touch, null for all) and
    # `limit`. `next_items` returns ids of items that can be done now. `blocked` returns the
    # namespaces of the rest if none can.
    next_items: sql.Statement
    blocked: sql.Statement
    blocked_by: str
    apply: Callable[[Batch], list[ItemResult]]
    wake: Callable[[UUID], object]
    """Has the first slice of the run done after the commit."""
    canary: Callable[[OperationRun, dict[str, Any]], CanaryDecision] | None = None

    def start(
        self,
        selection: F | Sequence[UUID],
        *,
        actor: Actor,
        reason: str,
        rate: int | None = None,
        choices: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        namespace: str | None = None,
    ) -> StartedRun:
        """Start the run, or return the active one of the same selection and ``choices``.

        ``namespace``: that of all ids, so that its users see the run.

        Raises NotAllowed, LedgerBusy and NamespaceUnknown.
        """
        actor.require(Scope.OPERATE)
        ids = None if isinstance(selection, BulkFilter) else sorted(set(selection))
        if isinstance(selection, BulkFilter):
            scope = scope_of(actor, selection.namespace)
            inputs: dict[str, Any] = {"filter": selection.to_json()}
            summary = inputs
        else:
            scope = scope_of(actor, namespace)
            inputs = {"ids": [str(object_id) for object_id in ids or ()]}
            summary = {"ids": len(ids or ())}
        run_context = {
            **(choices or {}),
            **(context or {}),
            **summary,
            **started_by(actor),
            "rate": max(1, min(self.rate if rate is None else rate, self.max_rate)),
        }
        with audit.transaction():
            run, created = _ensure(
                self.type,
                {**(choices or {}), **inputs},
                run_context,
                scope=scope,
                actor=actor,
                reason=reason,
            )
            if not created:
                return StartedRun(run.pk, int(run.progress.get("total", 0)), created=False)
            if isinstance(selection, BulkFilter):
                matched = self.add_matching(run, selection, self.max_objects)
            else:
                # Ids that don't exist or aren't visible get a result like any other.
                matched = add_items(run, ids or ())
            self._begin(run, matched, actor)
        return StartedRun(run.pk, min(matched, self.max_objects), created=True)

    def run_slice(self, slice_: Slice) -> datetime | None:
        """Do the next slice. Return when the next is due, or None at the end."""
        run, progress = slice_.run, _without_note(slice_.run)
        decision = TakeNext(progress) if self.canary is None else self.canary(run, progress)
        if isinstance(decision, WaitForCanary):
            note = {**progress, "note": decision.note}
            return ledger.save_progress(run, note, wait=SLICE_SECONDS)
        if isinstance(decision, StopRun):
            _end(run, decision.outcome, decision.progress)
            return None
        limit = _batch_limit(slice_, self.batch_size)
        if decision.canary_only:
            batch = Batch(run, self._next(run, _CANARY_CANDIDATES), 1, decision.progress)
        else:
            batch = Batch(run, self._next(run, limit), limit, decision.progress)
        results = self.apply(batch) if batch.ids else []
        progress = save_results(run, results, batch.progress) if results else batch.progress
        if decision.canary_only and any(r.outcome is ItemOutcome.SUCCEEDED for r in results):
            note = {**progress, "note": "waiting for the canary"}
            return ledger.save_progress(run, note, wait=SLICE_SECONDS)
        if progress["processed"] >= progress["total"]:
            _end(run, _outcome(progress), progress)
            return None
        if not results:
            note = {**progress, "note": self._blocked_note(run)}
            return ledger.save_progress(run, note, wait=BLOCKED_SECONDS)
        return ledger.save_progress(run, progress, wait=SLICE_SECONDS)

    def _begin(self, run: OperationRun, matched: int, actor: Actor) -> None:
        total = min(matched, self.max_objects)
        progress: dict[str, Any] = {
            "total": total,
            "processed": 0,
            "succeeded": 0,
            "failed": 0,
            "skipped": 0,
        }
        if matched > self.max_objects:
            progress["note"] = (
                f"more than {self.max_objects:,} match: these are the oldest;"
                " start another run for the rest"
            )
            progress["more"] = True
        audit.record(
            Action.OPERATION_STARTED,
            actor=actor.name,
            object_id=str(run.pk),
            namespace=run.scope[0] if run.scope and run.namespace_id is not None else None,
            after={"type": self.type, **run.context, "total": total},
            reason=run.reason,
        )
        if total == 0:
            _end(run, Outcome.SKIPPED, {**progress, "note": "nothing matches"})
        else:
            ledger.save_progress(run, progress, wait=0.0)
            self.wake(run.pk)

    def _next(self, run: OperationRun, limit: int) -> list[UUID]:
        if gate.paused_here():
            return []
        return [row[0] for row in self.next_items.rows(run=run.pk, scope=run.scope, limit=limit)]

    def _blocked_note(self, run: OperationRun) -> str:
        if gate.everything_paused() is not None:
            return "waiting: everything is paused"
        rows = self.blocked.rows(run=run.pk, scope=run.scope, limit=_MAX_NAMED + 1)
        names = ", ".join(row[0] for row in rows[:_MAX_NAMED])
        return (
            f"waiting for {self.blocked_by}: {names}{' and more' if len(rows) > _MAX_NAMED else ''}"
        )


def scope_of(actor: Actor, namespace: str | None) -> list[str] | None:
    """Return the namespaces that a run may touch, None for all. Raises NamespaceUnknown."""
    if namespace is not None:
        actor.require_namespace(namespace)
        return [namespace]
    if actor.namespaces is not None and not actor.namespaces:
        raise NamespaceUnknown("There is no namespace that you see.")
    return None if actor.namespaces is None else sorted(actor.namespaces)


def add_items(run: OperationRun, ids: Sequence[UUID]) -> int:
    """Make ``ids`` the run's items; return how many."""
    _ADD_ITEMS.execute(run=run.pk, ids=list(ids))
    return len(ids)


def save_results(
    run: OperationRun, results: Sequence[ItemResult], progress: Mapping[str, Any]
) -> dict[str, Any]:
    """Save the results of items; return ``progress`` with them counted."""
    outcomes = [str(result.outcome) for result in results]
    _SAVE_RESULTS.execute(
        run=run.pk,
        ids=[result.id for result in results],
        outcomes=outcomes,
        details=[result.detail for result in results],
    )
    counts = {
        key: progress[key] + outcomes.count(key) for key in ("succeeded", "failed", "skipped")
    }
    return {**progress, **counts, "processed": progress["processed"] + len(results)}


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


def _batch_limit(slice_: Slice, batch_size: int) -> int:
    # A late slice may catch up, but never with more than twice the rate.
    seconds = SLICE_SECONDS + min(slice_.late, SLICE_SECONDS)
    return max(1, min(batch_size, int(slice_.run.context["rate"] * seconds)))


def _without_note(run: OperationRun) -> dict[str, Any]:
    return {
        key: value
        for key, value in run.progress.items()
        # What the last slice waited for is over. That more objects match stays true.
        if key != "note" or run.progress.get("more")
    }


def _outcome(progress: Mapping[str, Any]) -> Outcome:
    if progress["succeeded"]:
        # A skipped object is no failure.
        return Outcome.PARTIALLY_SUCCEEDED if progress["failed"] else Outcome.SUCCEEDED
    return Outcome.FAILED if progress["failed"] else Outcome.SKIPPED


def _end(run: OperationRun, outcome: Outcome, progress: Mapping[str, Any]) -> None:
    ledger.complete(run, outcome, ledger.counts_in(progress), progress=progress)
