"""Run many finished cycles again by one operation run, at a bounded rate."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import sql
from governance.kernel.errors import Kind, OrbitError
from governance.models import OperationRun
from governance.namespaces import gate
from governance.operations.bulk import (
    Batch,
    BulkAction,
    BulkFilter,
    ItemResult,
    StartedRun,
    add_items,
    scope_of,
)
from governance.states import ItemOutcome
from orbit import queue
from orbit.cycles import detail
from orbit.cycles.rerun import single
from orbit.errors import CycleActive, CycleUnknown, DeliveriesOpen
from orbit.models import CycleRun
from orbit.records import execution
from orbit.states import CYCLE, Trigger

#: How many ids a caller may name.
MAX_IDS = 1_000
#: How many cycles one run takes by a filter.
MAX_CYCLES = 10_000
#: Cycles a second.
RATE, MAX_RATE = 2, 50

NEXT_RERUNS = sql.load(__name__, "next_reruns", gate_lets_start=gate.STARTS)
_BLOCKED = sql.load(__name__, "blocked_rerun_namespaces")


@dataclass(frozen=True, slots=True)
class CycleFilter(BulkFilter):
    """Which finished cycles, not run again yet. ``created_to`` is exclusive."""

    status: str | None = None
    run_profile_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


CycleSelection = CycleFilter | Sequence[UUID]


def preview(selection: CycleSelection, *, actor: Actor) -> list[UUID]:
    """Return what ``start`` would take now. Raises NamespaceUnknown."""
    actor.require(Scope.OPERATE)
    if isinstance(selection, CycleFilter):
        scope_of(actor, selection.namespace)
        # One more than the limit, if there are more.
        return _matching(selection, actor, RERUN.max_objects)
    return list(
        CycleRun.objects.filter(actor.filter(), pk__in=set(selection))
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def start(
    selection: CycleSelection, *, actor: Actor, reason: str, source: Trigger, rate: int = RATE
) -> StartedRun:
    """Run cycles again, ``rate`` a second. Raises as ``BulkAction.start``."""
    return RERUN.start(
        selection,
        actor=actor,
        reason=execution.clean(reason),
        rate=rate,
        context={"trigger": str(source)},
    )


def _matching(filters: CycleFilter, actor: Actor, limit: int) -> list[UUID]:
    rows = detail.matching(actor, **asdict(filters)).filter(status__in=sorted(CYCLE.final))
    rows = rows.exclude(Exists(CycleRun.objects.filter(rerun_of=OuterRef("pk"))))
    return list(rows.order_by("id").values_list("pk", flat=True)[: limit + 1])


def _add_matching(run: OperationRun, filters: CycleFilter, limit: int) -> int:
    ids = _matching(filters, _initiator(run), limit)
    add_items(run, ids[:limit])
    return len(ids)


def _rerun_batch(batch: Batch) -> list[ItemResult]:
    results = [_rerun(batch.run, cycle_id) for cycle_id in batch.ids]
    return [result for result in results if result is not None]


def _rerun(run: OperationRun, cycle_id: UUID) -> ItemResult | None:
    try:
        new_id = single.start(
            cycle_id,
            actor=_initiator(run),
            reason=run.reason,
            source=Trigger(run.context["trigger"]),
        )
    except CycleActive:
        return None  # another one has started: wait for a later slice
    except CycleUnknown:
        return ItemResult(cycle_id, ItemOutcome.FAILED, "there is no such cycle")
    except DeliveriesOpen as refusal:
        return ItemResult(cycle_id, ItemOutcome.SKIPPED, f"{refusal.code}: {refusal.detail}")
    except OrbitError as refusal:
        if refusal.kind is Kind.LOCKED:
            return None
        return ItemResult(cycle_id, ItemOutcome.FAILED, f"{refusal.code}: {refusal.detail}")
    return ItemResult(cycle_id, ItemOutcome.SUCCEEDED, f"runs again as cycle {new_id}")


def _initiator(run: OperationRun) -> Actor:
    # What the user could do who started the run, and no more.
    namespaces = None if run.scope is None else frozenset(run.scope)
    return Actor(run.initiator, None, frozenset({Scope.OPERATE}), namespaces)


RERUN = BulkAction(
    type="ops.rerun",
    max_objects=MAX_CYCLES,
    rate=RATE,
    max_rate=MAX_RATE,
    batch_size=MAX_RATE,
    add_matching=_add_matching,
    next_items=NEXT_RERUNS,
    blocked=_BLOCKED,
    blocked_by="namespaces that are stopped or have an active cycle",
    apply=_rerun_batch,
    wake=lambda run_id: queue.wake(queue.OPERATE, str(run_id)),
)
