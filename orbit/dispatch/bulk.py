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

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.models import OperationRun
from governance.operations import items
from governance.operations.items import Started
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
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in self.given.items()
        }


Wanted = Filter | Sequence[UUID]


def requeue(
    wanted: Wanted,
    *,
    actor: Actor,
    reason: str,
    endpoint: Choice = "snapshot",
    new_key: bool = False,
    rate: int = RATE,
) -> Started:
    """Start sending ``wanted`` again, ``rate`` letters a second, one first as a canary; choices as for a single one.

    Letters that aren't there, or not for ``actor``, get their outcome like any other. Raises NamespaceUnknown for a filter's namespace.
    """
    context = {"endpoint": endpoint, "new_key": new_key}
    return _start(REQUEUE, wanted, context, actor=actor, reason=reason, rate=rate)


def dismiss(wanted: Wanted, *, actor: Actor, reason: str, rate: int = FASTEST) -> Started:
    """Start dismissing ``wanted``; else as ``requeue``."""
    return _start(DISMISS, wanted, {}, actor=actor, reason=reason, rate=rate)


def _start(
    type_: str, wanted: Wanted, choices: dict[str, Any], *, actor: Actor, reason: str, rate: int
) -> Started:
    actor.require(Scope.OPERATE)
    ids = None if isinstance(wanted, Filter) else sorted(set(wanted))
    named: dict[str, Any] = (
        {"filter": wanted.plain}
        if isinstance(wanted, Filter)
        else {"ids": [str(one) for one in ids or ()]}
    )
    shown: dict[str, Any] = (
        {"filter": wanted.plain} if isinstance(wanted, Filter) else {"ids": len(ids or ())}
    )
    context = {**choices, **shown, "rate": max(1, min(rate, FASTEST))}
    scope = items.scope_of(actor, wanted.namespace if isinstance(wanted, Filter) else None)
    return items.begin(
        type_,
        inputs={**choices, **named},
        context=context,
        scope=scope,
        take=lambda run: _take(run, wanted, ids, scope),
        most=MOST_LETTERS,
        actor=actor,
        reason=execution.clean(reason),
        wake=lambda run_id: queue.wake(queue.OPERATE, str(run_id)),
    )


def _take(
    run: OperationRun, wanted: Wanted, ids: list[UUID] | None, scope: list[str] | None
) -> int:
    """Fix the run's letters; return how many, or one more than the most."""
    if not isinstance(wanted, Filter):
        return items.take_named(run, ids or ())
    with connection.cursor() as cursor:
        conditions = ["l.status = 'open'", *(_CONDITIONS[name] for name in wanted.given)]
        if scope is not None:
            conditions.append("l.namespace = ANY(%(scope)s)")
        cursor.execute(
            TAKE_MATCHING.format(where=" AND ".join(conditions)),
            {"run": run.pk, "most": MOST_LETTERS, "scope": scope, **wanted.given},
        )
        return int(cursor.fetchone()[0])
