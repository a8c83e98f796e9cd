"""Many cycles run again: an operation run over a list that is fixed when it starts, oldest first, at a bounded rate.

At most one cycle is active in a namespace, so a slice takes of each namespace the oldest that is left, where nothing runs there and nothing
stops it; the others wait for a later slice. A cycle that can't be run again has its outcome like any other.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel.errors import Kind, OrbitError
from governance.models import OperationRun
from governance.namespaces import gate
from governance.operations import items, ledger
from governance.operations.guard import Slice
from governance.operations.items import Settled, Started
from governance.states import ItemOutcome
from orbit import queue
from orbit.cycles import listing
from orbit.cycles.rerun import single
from orbit.errors import CycleActive, DeliveriesOpen
from orbit.models import CycleRun
from orbit.records import execution
from orbit.states import CYCLE, Trigger

RERUN = "ops.rerun"
#: How many ids may be named, and how many cycles one run takes by a filter. Beyond that nobody counts.
MOST_IDS, MOST_CYCLES = 1_000, 10_000
#: Cycles a second.
RATE, FASTEST = 2, 50
WAIT_SECONDS = 2.0
_NAMED = 5

# A cycle that isn't of the run's namespaces is no cycle for it; such come first, for nothing keeps them waiting.
NEXT = f"""SELECT DISTINCT ON (c.namespace) i.object_id, c.namespace FROM governance_operationrunitem i
LEFT JOIN orbit_cyclerun c ON c.id = i.object_id AND (%(scope)s::text[] IS NULL OR c.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s AND i.outcome IS NULL AND (c.id IS NULL OR {gate.STARTS_SQL.format(namespace="c.namespace")}
    AND NOT EXISTS (SELECT 1 FROM orbit_cyclerun a WHERE a.namespace = c.namespace AND a.status IN ('pending', 'running')))
ORDER BY c.namespace NULLS FIRST, i.object_id LIMIT %(limit)s"""
LEFT = """SELECT DISTINCT c.namespace FROM governance_operationrunitem i JOIN orbit_cyclerun c ON c.id = i.object_id
WHERE i.run_id = %(run)s AND i.outcome IS NULL ORDER BY c.namespace LIMIT %(limit)s"""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of the finished cycles that nobody has run again yet; what is None doesn't matter. ``created_to`` itself is outside."""

    namespace: str | None = None
    status: str | None = None
    run_profile_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    @property
    def plain(self) -> dict[str, str]:
        """What was asked for, as text."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in asdict(self).items()
            if value is not None
        }


Wanted = Filter | Sequence[UUID]


def preview(wanted: Wanted, *, actor: Actor) -> list[UUID]:
    """Return the cycles that ``start`` would take now, oldest first, or one more than the most; nothing is written. Raises NamespaceUnknown."""
    actor.require(Scope.OPERATE)
    if isinstance(wanted, Filter):
        items.scope_of(actor, wanted.namespace)
        return _matching(wanted, actor)
    return list(
        CycleRun.objects.filter(actor.filter(), pk__in=set(wanted))
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def start(
    wanted: Wanted, *, actor: Actor, reason: str, source: Trigger, rate: int = RATE
) -> Started:
    """Start running ``wanted`` again, ``rate`` cycles a second at most, one after the other in each namespace.

    Cycles that aren't there, or not for ``actor``, get their outcome like any other. While a run of the same cycles is active, that one is
    returned. Raises NamespaceUnknown for a filter's namespace.
    """
    actor.require(Scope.OPERATE)
    ids = None if isinstance(wanted, Filter) else sorted(set(wanted))
    named = (
        {"filter": wanted.plain}
        if isinstance(wanted, Filter)
        else {"ids": [str(one) for one in ids or ()]}
    )
    shown = {"filter": wanted.plain} if isinstance(wanted, Filter) else {"ids": len(ids or ())}
    return items.begin(
        RERUN,
        inputs=named,
        context={**shown, "trigger": str(source), "rate": max(1, min(rate, FASTEST))},
        scope=items.scope_of(actor, wanted.namespace if isinstance(wanted, Filter) else None),
        take=lambda run: _take(
            run, _matching(wanted, actor) if isinstance(wanted, Filter) else ids or []
        ),
        most=MOST_CYCLES,
        actor=actor,
        reason=execution.clean(reason),
        wake=lambda run_id: queue.wake(queue.OPERATE, str(run_id)),
    )


def work(slice_: Slice) -> datetime | None:
    """Do the next slice: run again what may be now, each in a savepoint of its own."""
    run, progress = slice_.run, items.fresh(slice_.run)
    found = _next(run, items.room(slice_, FASTEST))
    settled = [
        one
        for cycle_id, namespace in found
        if (one := _again(run, cycle_id, namespace)) is not None
    ]
    progress = items.settle(run, settled, progress)
    if progress["processed"] < progress["total"] and not settled:
        return ledger.progress(run, {**progress, "note": _waits(run)}, wait=WAIT_SECONDS)
    return items.go_on(run, progress)


def _matching(wanted: Filter, actor: Actor) -> list[UUID]:
    rows = listing.matching(actor, **asdict(wanted)).filter(status__in=sorted(CYCLE.final))
    rows = rows.exclude(Exists(CycleRun.objects.filter(rerun_of=OuterRef("pk"))))
    return list(rows.order_by("id").values_list("pk", flat=True)[: MOST_CYCLES + 1])


def _take(run: OperationRun, ids: Sequence[UUID]) -> int:
    items.take_named(run, ids[:MOST_CYCLES])
    return len(ids)


def _next(run: OperationRun, limit: int) -> list[tuple[UUID, str | None]]:
    if gate.paused_here():
        return []
    with connection.cursor() as cursor:
        cursor.execute(NEXT, {"run": run.pk, "scope": run.scope, "limit": limit})
        return [(cycle_id, namespace) for cycle_id, namespace in cursor.fetchall()]


def _again(run: OperationRun, cycle_id: UUID, namespace: str | None) -> Settled | None:
    """Run one again and return what became of it; None where it has to wait after all."""
    if namespace is None:
        return Settled(cycle_id, ItemOutcome.FAILED, "there is no such cycle")
    actor = Actor(
        run.initiator,
        None,
        frozenset({Scope.OPERATE}),
        None if run.scope is None else frozenset(run.scope),
    )
    try:
        new = single.start(
            cycle_id, actor=actor, reason=run.reason, source=Trigger(run.context["trigger"])
        )
    except CycleActive:
        return None
    except OrbitError as refusal:
        if refusal.kind is Kind.LOCKED:
            return None
        return Settled(
            cycle_id,
            ItemOutcome.SKIPPED if isinstance(refusal, DeliveriesOpen) else ItemOutcome.FAILED,
            f"{refusal.code}: {refusal.detail}",
        )
    return Settled(cycle_id, ItemOutcome.SUCCEEDED, f"runs again as cycle {new}")


def _waits(run: OperationRun) -> str:
    if gate.paused_here():
        return "waiting: everything is paused"
    with connection.cursor() as cursor:
        cursor.execute(LEFT, {"run": run.pk, "limit": _NAMED + 1})
        names = [row[0] for row in cursor.fetchall()]
    return f"waiting for {', '.join(names[:_NAMED])}{' and more' if len(names) > _NAMED else ''}: a cycle is active there, or a stop"
