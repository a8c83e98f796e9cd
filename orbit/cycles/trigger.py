"""Start one cycle, from any trigger.

Everything is one transaction: an accepted trigger is never lost.
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
from orbit.cycles.skip_log import Skip
from orbit.errors import CycleActive, NamespaceMismatch, PayloadTooLarge
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger

DEFAULT_NAMESPACE = "default"
MAX_PAYLOAD = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Triggered:
    """The cycle that a trigger started or resumed."""

    cycle_id: UUID
    status: str
    namespace: str
    resumed: bool

    @property
    def sentence(self) -> str:
        """What happened."""
        verb = "resumed" if self.resumed else "started"
        return f"Cycle {self.cycle_id} {verb} in {self.namespace}."


def start(
    *,
    namespace: str | None,
    source: Trigger,
    actor: Actor,
    run_profile_id: str | None = None,
    payload: Payload | None = None,
    reason: str = "",
    ahead: CycleContext | None = None,
    traceparent: str | None = None,
) -> Triggered:
    """Start a cycle for a run profile, or a raw one in ``namespace``.

    ``ahead`` is what ``read_ahead`` returned, if this is called in a transaction;
    ``traceparent`` the caller's span. Raises the
    gate's refusals, NamespaceUnknown, RunProfileUnknown, Disabled, NamespaceMismatch,
    PayloadTooLarge, and CycleActive with the active cycle's id.
    """
    actor.require(Scope.OPERATE)
    if payload is not None and len(payload.body) > MAX_PAYLOAD:
        raise PayloadTooLarge(f"The payload is longer than {MAX_PAYLOAD} bytes.")
    # Made outside of the transaction, because a document may be large.
    context = _context(namespace, run_profile_id, actor, ahead)
    try:
        with audit.transaction():
            creation.hold_configuration()
            if not bridge.is_current(context):
                context = _context(namespace, run_profile_id, actor)  # edited just now
            gate.ensure_may_start(context.namespace)
            cycle = NewCycle(context, source, actor.name, payload, traceparent=traceparent)
            # The unique index accepts one of many triggers at once. Insert again if the active one
            # has ended between the two.
            triggered = _insert(cycle) or _resume(cycle) or _insert(cycle)
            if triggered is None:
                raise creation.refusal(context.namespace, None)
            if source != Trigger.CRON:  # those are in the tick ledger
                _audit(triggered, cycle, reason)
            return triggered
    except CycleActive as exc:
        # After the rollback: the record of the skip must stay.
        active = str(exc.extra["active_cycle_run_id"])
        skip_log.record_skips(
            [Skip(str(exc.extra["namespace"]), active, run_profile_id)], trigger=source
        )
        raise
    except (gate.GloballyPaused, gate.NamespaceHalted, gate.NamespaceDraining) as exc:
        if source != Trigger.CRON:  # those are in the tick ledger
            skip_log.record_refusal(
                context.namespace, exc, trigger=source, run_profile_id=run_profile_id
            )
        raise


def _audit(triggered: Triggered, cycle: NewCycle, reason: str) -> None:
    audit.record(
        Action.CYCLE_TRIGGERED,
        actor=cycle.by,
        object_id=str(triggered.cycle_id),
        namespace=triggered.namespace,
        after={
            "run_profile_id": cycle.context.run_profile_id,
            "trigger": str(cycle.trigger),
            "resumed": triggered.resumed,
        },
        reason=reason,
    )


def read_ahead(run_profile_id: str | None, *, actor: Actor) -> CycleContext | None:
    """Return a run profile's context, for a ``start`` in a transaction; None if it is refused."""
    try:
        return bridge.context_for(run_profile_id, actor=actor) if run_profile_id else None
    except OrbitError:
        return None  # ``start`` says why


def ensure_matches(context: CycleContext, namespace: str | None) -> None:
    """Raise NamespaceMismatch if the trigger names another namespace than its run profile's."""
    if namespace is not None and namespace != context.namespace:
        raise NamespaceMismatch(
            f"The run profile {context.run_profile_id} runs in {context.namespace}, not in "
            f"{namespace}. Leave the namespace out."
        )


def _context(
    namespace: str | None,
    run_profile_id: str | None,
    actor: Actor,
    ahead: CycleContext | None = None,
) -> CycleContext:
    if run_profile_id is None:
        name = DEFAULT_NAMESPACE if namespace is None else namespace
        actor.require_namespace(name)
        return bridge.raw_context(name)
    context = ahead or bridge.context_for(run_profile_id, actor=actor)
    ensure_matches(context, namespace)
    return context


def _insert(cycle: NewCycle) -> Triggered | None:
    if not creation.insert([cycle], Cycle.PENDING):
        return None  # another cycle is active
    queue.wake()
    return Triggered(cycle.id, str(Cycle.PENDING), cycle.context.namespace, resumed=False)


def _resume(cycle: NewCycle) -> Triggered | None:
    context = cycle.context
    active = creation.active_cycles([context.namespace]).get(context.namespace)
    if active is None:
        return None  # it has just ended
    if not active.is_resumed_by(context.run_profile_id, cycle.payload):
        raise creation.refusal(context.namespace, active)
    queue.wake()
    return Triggered(active.id, active.status, context.namespace, resumed=True)
