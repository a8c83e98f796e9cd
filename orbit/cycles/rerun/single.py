"""Run one finished cycle again, by a new one that reuses what succeeded.

Everything is one transaction. The old cycle stays as it is.
"""

from dataclasses import dataclass
from uuid import UUID

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import OrbitError
from governance.namespaces import gate
from orbit import queue
from orbit.cycles import bridge, creation, skip_log
from orbit.cycles.bridge import CycleContext
from orbit.cycles.creation import NewCycle
from orbit.cycles.rerun import history, plan
from orbit.cycles.rerun.plan import DeliveryAction, RerunPlan
from orbit.cycles.skip_log import Skip
from orbit.dispatch import endpoints, enqueue
from orbit.errors import (
    CycleActive,
    CycleUnknown,
    DeliveriesOpen,
    Disabled,
    NamespaceMismatch,
    NotFinished,
    RunProfileUnknown,
)
from orbit.models import CycleRun
from orbit.records import pruned
from orbit.states import CYCLE, Cycle, Trigger


@dataclass(frozen=True, slots=True)
class Preview:
    """What a re-run would do; ``stopped`` is what refuses it now."""

    cycle_id: UUID
    context: CycleContext
    plan: RerunPlan
    stopped: OrbitError | None


def preview(cycle_id: UUID, *, actor: Actor) -> Preview:
    """Return what ``start`` would do now; write nothing.

    Raises as ``start``, but not for a stop or an active cycle.
    """
    actor.require(Scope.OPERATE)
    old = _finished_cycle(cycle_id, actor)
    context = _current_context(old, actor)
    rerun_plan = plan.decide(history.read(cycle_id), configured=endpoints.configured().keys())
    _ensure_all_ended(cycle_id, rerun_plan)
    return Preview(cycle_id, context, rerun_plan, _stopped(old.namespace_id))


def start(cycle_id: UUID, *, actor: Actor, reason: str, source: Trigger) -> UUID:
    """Start a cycle that runs ``cycle_id`` again; return its id.

    Raises CycleUnknown, NotFinished, Disabled, NamespaceMismatch, DeliveriesOpen, CycleActive, and
    the gate's refusals.
    """
    actor.require(Scope.OPERATE)
    old = _finished_cycle(cycle_id, actor)
    # Before the transaction: a snapshot may lock the row of an endpoint, and workers lock a cycle
    # before that.
    snapshots = {
        key: enqueue.snapshot_id(endpoint) for key, endpoint in endpoints.configured().items()
    }
    # Also before it, because a document may be large.
    context = _current_context(old, actor)
    max_retries = enqueue.max_retries(context.document)
    try:
        with audit.transaction():
            creation.hold_configuration()
            if not bridge.is_current(context):  # edited just now
                context = _current_context(old, actor)
                max_retries = enqueue.max_retries(context.document)
            gate.ensure_may_start(old.namespace_id)
            cycle = NewCycle(context, source, actor.name)
            # Before the history is read: of two re-runs at once the overlap guard lets one win.
            _insert(cycle, old)
            rerun_plan = plan.decide(history.read(cycle_id, lock=True), configured=snapshots.keys())
            _ensure_all_ended(cycle_id, rerun_plan)
            plan.write(
                rerun_plan,
                cycle_id=cycle.id,
                rerun_of=cycle_id,
                namespace=old.namespace_id,
                max_retries=max_retries,
                snapshots=snapshots,
                by=actor.name,
                reason=reason,
            )
            queue.wake()
            _audit(old, cycle.id, rerun_plan, actor=actor, reason=reason)
            return cycle.id
    except CycleActive as exc:
        # After the rollback: the record of the skip must stay.
        active = str(exc.extra["active_cycle_run_id"])
        skip_log.record_skips([Skip(old.namespace_id, active, old.run_profile_id)], trigger=source)
        raise


def _finished_cycle(cycle_id: UUID, actor: Actor) -> CycleRun:
    cycle = (
        CycleRun.objects.filter(actor.filter(), pk=cycle_id)
        .only("id", "namespace_id", "status", "run_profile_id")
        .first()
    )
    if cycle is None:
        raise CycleUnknown(pruned.unknown("cycle", cycle_id))
    if Cycle(cycle.status) not in CYCLE.final:
        raise NotFinished(
            f"The cycle {cycle_id} is {cycle.status}. Wait until it ends, or cancel it, to run it "
            "again."
        )
    return cycle


def _current_context(old: CycleRun, actor: Actor) -> CycleContext:
    if old.run_profile_id is None:
        return bridge.raw_context(old.namespace_id)
    try:
        context = bridge.context_for(old.run_profile_id, actor=actor)
    except RunProfileUnknown:
        raise Disabled(
            f"The run profile {old.run_profile_id} isn't in use any more. Configure it again to "
            "run it."
        ) from None
    if context.namespace != old.namespace_id:
        raise NamespaceMismatch(
            f"The run profile {old.run_profile_id} has moved to another namespace. Trigger it "
            "there."
        )
    return context


def _ensure_all_ended(cycle_id: UUID, rerun_plan: RerunPlan) -> None:
    count = sum(delivery.action is DeliveryAction.OPEN for delivery in rerun_plan.deliveries)
    if count:
        raise DeliveriesOpen(
            f"{count} {'delivery' if count == 1 else 'deliveries'} of the cycle {cycle_id} may "
            "still be made. Wait until it ends, or cancel it."
        )


def _insert(cycle: NewCycle, old: CycleRun) -> None:
    if creation.insert_rerun(cycle, rerun_of=old.pk):
        return
    active = creation.active_cycles([old.namespace_id]).get(old.namespace_id)
    if active is None and not CycleRun.objects.filter(pk=old.pk).exists():
        raise CycleUnknown(pruned.unknown("cycle", old.pk))
    # Insert again if the active cycle has ended between the two.
    if active is not None or not creation.insert_rerun(cycle, rerun_of=old.pk):
        raise creation.refusal(old.namespace_id, active)


def _stopped(namespace: str) -> OrbitError | None:
    try:
        gate.ensure_may_start(namespace)
    except OrbitError as refusal:
        return refusal
    active = creation.active_cycles([namespace]).get(namespace)
    return creation.refusal(namespace, active) if active else None


def _audit(old: CycleRun, new: UUID, rerun_plan: RerunPlan, *, actor: Actor, reason: str) -> None:
    audit.record(
        Action.CYCLE_RERUN,
        actor=actor.name,
        object_id=str(old.pk),
        namespace=old.namespace_id,
        before={"status": old.status},
        after={
            "cycle_run_id": str(new),
            "tiers_taken_over": sorted(rerun_plan.reused_tiers),
            "tiers_run": rerun_plan.tiers_to_run,
            "deliveries": len(rerun_plan.to_send),
            "dead_letters_requeued": len(rerun_plan.letters),
        },
        reason=reason,
    )
