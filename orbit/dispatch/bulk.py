"""Many dead letters at once: an operation run over a list that is fixed when it starts.

The letters are named by their ids, or by a filter over the open ones; what comes later is not among them, and what somebody resolves
meanwhile is skipped. The run's slices are in ``redrive``. While a run of the same letters and choices is active, asking again gives that one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import Power
from governance.audit import trail
from governance.models import OperationRun
from governance.operations import ledger
from governance.rest import request_id
from governance.states import Outcome
from orbit import queue
from orbit.dispatch.dead_letters import Choice
from orbit.records import execution

REQUEUE, DISMISS = "dlq.bulk_requeue", "dlq.bulk_dismiss"
#: How many ids may be named, and how many letters one run takes by a filter. Beyond that nobody counts.
MOST_IDS, MOST_LETTERS = 1_000, 100_000
#: Letters a second.
RATE, FASTEST = 10, 500

_CONDITIONS = {
    "namespace": "l.namespace = %(namespace)s",
    "endpoint_key": "l.endpoint_key = %(endpoint_key)s",
    "group": "l.error_group = %(group)s",
    "reason": "l.reason = %(reason)s",
    "cycle_run_id": "l.cycle_id = %(cycle_run_id)s",
    "created_after": "l.created_at >= %(created_after)s",
    "created_before": "l.created_at < %(created_before)s",
}
# One row beyond the most tells that there are more.
TAKE_MATCHING = """WITH found AS MATERIALIZED (
    SELECT l.id FROM orbit_deadletterdispatch l WHERE {where} ORDER BY l.id LIMIT %(most)s + 1),
kept AS (INSERT INTO governance_operationrunitem (run_id, object_id) SELECT %(run)s, id FROM found ORDER BY id LIMIT %(most)s)
SELECT count(*) FROM found"""
TAKE_NAMED = "INSERT INTO governance_operationrunitem (run_id, object_id) SELECT %(run)s, id FROM unnest(%(ids)s::uuid[]) AS id ORDER BY id"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of the open letters; what is None doesn't matter. Made at ``created_after`` or later, and before ``created_before``."""

    namespace: str | None = None
    endpoint_key: str | None = None
    group: str | None = None
    reason: str | None = None
    cycle_run_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def plain(self) -> dict[str, str]:
        """What was asked for, as text."""
        return {name: value.isoformat() if isinstance(value, datetime) else str(value) for name, value in self.given.items()}


Wanted = Filter | Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Started:
    """A run, how many letters it took, and whether this call made it."""

    run_id: UUID
    matched: int
    created: bool


def requeue(wanted: Wanted, *, actor: Actor, reason: str, endpoint: Choice = "snapshot", new_key: bool = False, rate: int = RATE) -> Started:
    """Start sending ``wanted`` again, ``rate`` letters a second, one first as a canary; choices as for a single one.

    Letters that aren't there, or not for ``actor``, get their outcome like any other. Raises NamespaceUnknown for a filter's namespace.
    """
    context = {"endpoint": endpoint, "new_key": new_key}
    return _start(REQUEUE, wanted, context, actor=actor, reason=reason, rate=rate)


def dismiss(wanted: Wanted, *, actor: Actor, reason: str, rate: int = FASTEST) -> Started:
    """Start dismissing ``wanted``; else as ``requeue``."""
    return _start(DISMISS, wanted, {}, actor=actor, reason=reason, rate=rate)


def _start(type_: str, wanted: Wanted, choices: dict[str, Any], *, actor: Actor, reason: str, rate: int) -> Started:
    actor.require(Power.OPERATE)
    ids = None if isinstance(wanted, Filter) else sorted(set(wanted))
    named: dict[str, Any] = {"filter": wanted.plain} if isinstance(wanted, Filter) else {"ids": [str(one) for one in ids or ()]}
    shown: dict[str, Any] = {"filter": wanted.plain} if isinstance(wanted, Filter) else {"ids": len(ids or ())}
    context = {**choices, **shown, "rate": max(1, min(rate, FASTEST))}
    scope = _scope(wanted, actor)
    with trail.deed():
        run, created = _ensure(type_, {**choices, **named}, context, scope=scope, actor=actor, reason=execution.clean(reason))
        if not created:
            return Started(run.pk, int(run.progress.get("total", 0)), created=False)
        matched = _take(run, wanted, ids, scope)
        total = min(matched, MOST_LETTERS)
        progress: dict[str, Any] = {"total": total, "processed": 0, "succeeded": 0, "failed": 0, "skipped": 0}
        if matched > MOST_LETTERS:
            progress["note"] = f"more than {MOST_LETTERS:,} match: these are the oldest; start another run for the rest"
            progress["more"] = True
        trail.record(
            "operation.started",
            actor=actor.name,
            object_type="operation_run",
            object_id=str(run.pk),
            namespace=scope[0] if scope and run.namespace_id is not None else None,
            after={"type": type_, **context, "total": total},
            reason=reason,
            request_id=request_id.current(),
        )
        if total == 0:
            ledger.complete(run, Outcome.SKIPPED, progress, progress={**progress, "note": "nothing matches"})
        else:
            ledger.progress(run, progress, wait=0.0)
            queue.wake(queue.OPERATE, str(run.pk))
    return Started(run.pk, total, created=True)


def _scope(wanted: Wanted, actor: Actor) -> list[str] | None:
    """Return the namespaces that the run may touch; None is all. Raises NamespaceUnknown."""
    if isinstance(wanted, Filter) and wanted.namespace is not None:
        actor.require_namespace(wanted.namespace)
        return [wanted.namespace]
    if actor.namespaces is not None and not actor.namespaces:
        raise NamespaceUnknown("There is no namespace that you see.")
    return None if actor.namespaces is None else sorted(actor.namespaces)


def _ensure(
    type_: str, inputs: dict[str, Any], context: dict[str, Any], *, scope: list[str] | None, actor: Actor, reason: str
) -> tuple[OperationRun, bool]:
    if scope is not None and len(scope) == 1:
        return ledger.ensure_run_with_identity(scope[0], type_, inputs, initiator=actor.name, reason=reason, context=context)
    return ledger.ensure_workspace_run_with_identity(type_, inputs, initiator=actor.name, reason=reason, context=context, scope=scope)


def _take(run: OperationRun, wanted: Wanted, ids: list[UUID] | None, scope: list[str] | None) -> int:
    """Fix the run's letters; return how many, or one more than the most."""
    with connection.cursor() as cursor:
        if not isinstance(wanted, Filter):
            cursor.execute(TAKE_NAMED, {"run": run.pk, "ids": ids})
            return len(ids or ())
        conditions = ["l.status = 'open'", *(_CONDITIONS[name] for name in wanted.given)]
        if scope is not None:
            conditions.append("l.namespace = ANY(%(scope)s)")
        cursor.execute(
            TAKE_MATCHING.format(where=" AND ".join(conditions)), {"run": run.pk, "most": MOST_LETTERS, "scope": scope, **wanted.given}
        )
        return int(cursor.fetchone()[0])
