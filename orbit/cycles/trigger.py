"""The one start of a cycle, whoever asks for it.

The gate, the overlap guard, the cycle and its wake-up are one transaction: an accepted trigger is never lost, and of any number of
triggers at once the unique index lets one through. After a crash there is a cycle that is due, or nothing.
"""

from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from django.db import connection

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.namespaces import gate
from orbit import queue
from orbit.cycles import bridge, creation, skip_log
from orbit.cycles.bridge import Context
from orbit.cycles.creation import NewCycle
from orbit.cycles.skip_log import Skip
from orbit.errors import CycleActive, NamespaceMismatch, PayloadTooLarge
from orbit.pipeline.contract import Payload
from orbit.states import Cycle, Trigger

DEFAULT_NAMESPACE = "default"
MAX_PAYLOAD = 16 * 1024 * 1024

# Shared by all triggers, exclusive for a reload: no cycle can start in the middle of one.
HOLD_CONFIGURATION = "SELECT 1 FROM orbit_appliedfiles WHERE id = 1 FOR SHARE"


@dataclass(frozen=True, slots=True)
class Triggered:
    """What a trigger started, or found lying and resumed."""

    cycle_id: UUID
    status: str
    namespace: str
    resumed: bool


def start(
    *,
    namespace: str | None,
    source: Trigger,
    actor: Actor,
    run_profile_id: str | None = None,
    payload: Payload | None = None,
    reason: str = "",
) -> Triggered:
    """Start a cycle for a run profile, or a raw one in ``namespace``.

    Raises the gate's refusals, NamespaceUnknown, RunProfileUnknown, Disabled, NamespaceMismatch, PayloadTooLarge, and CycleActive with the
    id of the cycle that is in the way; nothing is written then but the record of the skip.
    """
    actor.require(Scope.OPERATE)
    if payload is not None and len(payload.body) > MAX_PAYLOAD:
        raise PayloadTooLarge(
            f"The payload has {len(payload.body)} bytes; at most {MAX_PAYLOAD} are taken."
        )
    context: Context | None = None
    try:
        with audit.transaction():
            with connection.cursor() as cursor:
                cursor.execute(HOLD_CONFIGURATION)
            context = _context(namespace, run_profile_id, actor)
            gate.ensure_may_start(context.namespace)
            birth = NewCycle(context, source, actor.name, payload)
            started = _insert(birth) or _resume(birth)
            # The cycle in the way has ended between the two: the way is free.
            started = started or _insert(birth) or _refuse(context, None, "about to end")
            if source != Trigger.CRON:
                # What the clock starts stands in the tick ledger; what a person starts or resumes, on the audit trail.
                audit.record(
                    Action.CYCLE_TRIGGERED,
                    actor=actor.name,
                    object_id=str(started.cycle_id),
                    namespace=started.namespace,
                    after={
                        "run_profile_id": run_profile_id,
                        "trigger": str(source),
                        "resumed": started.resumed,
                    },
                    reason=reason,
                )
            return started
    except CycleActive as exc:
        skip_log.record_skips(
            [
                Skip(
                    str(exc.extra["namespace"]),
                    str(exc.extra["active_cycle_run_id"]),
                    run_profile_id,
                )
            ],
            trigger=source,
        )
        raise
    except (gate.GloballyPaused, gate.NamespaceHalted, gate.NamespaceDraining) as exc:
        # What the clock was refused stands in the tick ledger.
        if context is not None and source != Trigger.CRON:
            skip_log.record_refusal(
                context.namespace, exc, trigger=source, run_profile_id=run_profile_id
            )
        raise


def _context(namespace: str | None, run_profile_id: str | None, actor: Actor) -> Context:
    if run_profile_id is None:
        wanted = namespace or DEFAULT_NAMESPACE
        actor.require_namespace(wanted)
        return bridge.raw_context(wanted)
    context = bridge.context_for(run_profile_id, actor=actor)
    if namespace is not None and namespace != context.namespace:
        raise NamespaceMismatch(
            f"The run profile {run_profile_id} runs in {context.namespace}, not in {namespace}. Leave the namespace out."
        )
    return context


def _insert(birth: NewCycle) -> Triggered | None:
    """Insert the cycle and its wake-up; None when another cycle is active."""
    if not creation.insert([birth], Cycle.PENDING):
        return None
    queue.wake()
    return Triggered(birth.id, str(Cycle.PENDING), birth.context.namespace, resumed=False)


def _resume(birth: NewCycle) -> Triggered | None:
    """Return the active cycle that this trigger resumes, or None when it has ended this moment. Raises CycleActive."""
    context = birth.context
    found = creation.active_cycles([context.namespace]).get(context.namespace)
    if found is None:
        return None
    if not found.is_resumed_by(context.run_profile_id, birth.payload):
        _refuse(context, found.id, found.status)
    queue.wake()
    return Triggered(found.id, found.status, context.namespace, resumed=True)


def _refuse(context: Context, active: UUID | None, status: str) -> NoReturn:
    name = f"The cycle {active}" if active else "Another cycle"
    raise CycleActive(
        f"{name} is {status} in {context.namespace}: at most one runs there at a time.",
        namespace=context.namespace,
        active_cycle_run_id=str(active) if active else None,
    )
