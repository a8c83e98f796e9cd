"""Running a finished cycle again: a new cycle that takes over what succeeded and delivers only what never was.

The finished one is history and stays as it is. In one transaction the new cycle is inserted, which the overlap guard allows to one at a
time and namespace, so that of two re-runs at once one wins; then the open dead letters are held, what there is is read, and the tiers,
jobs and letters are written. After a crash all of it is there, or nothing. The input is copied inside the database.

The new cycle is born with a fencing token of 1, as if it had been claimed before: whoever claims it reads what it has rather than
beginning anew.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel.errors import OrbitError
from governance.kernel.identifiers import uuid7
from governance.namespaces import gate
from orbit import queue
from orbit.cycles import bridge, skip_log
from orbit.cycles.bridge import Context
from orbit.cycles.rerun import history, plan
from orbit.cycles.rerun.plan import DeliveryAction, RerunPlan
from orbit.cycles.skip_log import Skip
from orbit.cycles.trigger import HOLD_CONFIGURATION
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
from orbit.states import ACTIVE, CYCLE, Cycle, Trigger

START = """INSERT INTO orbit_cyclerun (id, namespace, status, trigger, triggered_by, profile_id, profile_revision, run_profile_id, run_profile_revision,
    instruction_id, context, initiation_hash, input, input_content_type, input_sha256, next_due_at, fencing_token, rerun_of, takeover)
SELECT %(id)s, o.namespace, 'pending', %(trigger)s, %(by)s, %(profile_id)s, %(profile_revision)s, %(run_profile_id)s, %(run_profile_revision)s,
    %(instruction_id)s, %(context)s, %(hash)s, o.input, o.input_content_type, o.input_sha256, now(), 1, o.id, '{}'
FROM orbit_cyclerun o WHERE o.id = %(old)s
ON CONFLICT (namespace) WHERE status IN ('pending', 'running') DO NOTHING RETURNING id"""


@dataclass(frozen=True, slots=True)
class Preview:
    """What running ``cycle_id`` again does: on which revisions, and ``stopped``: what refuses it just now, None where nothing does."""

    cycle_id: UUID
    context: Context
    takeover: RerunPlan
    stopped: OrbitError | None


def preview(cycle_id: UUID, *, actor: Actor) -> Preview:
    """Return what ``start`` would do now; nothing is written.

    Raises what ``start`` raises, but for what passes by itself: a stop of the namespace and a cycle that is active there.
    """
    actor.require(Scope.OPERATE)
    old = _old(cycle_id, actor)
    context = _today(old, actor)
    takeover = plan.decide(history.read(cycle_id), known=endpoints.configured().keys())
    _refuse_open(cycle_id, takeover)
    return Preview(cycle_id, context, takeover, _stopped(old.namespace_id))


def start(cycle_id: UUID, *, actor: Actor, reason: str, source: Trigger) -> UUID:
    """Start a cycle that runs ``cycle_id`` again; return its id.

    Raises CycleUnknown, also for a cycle that ``actor`` doesn't see, NotFinished, Disabled, NamespaceMismatch where the run profile has
    moved, DeliveriesOpen, CycleActive, and the gate's refusals; nothing is written then but, for an active cycle, the record of the skip.
    """
    actor.require(Scope.OPERATE)
    old = _old(cycle_id, actor)
    # Before the transaction: they may lock a receiver's row, which those who hold a cycle lock after theirs.
    snapshots = {
        key: enqueue.snapshot_id(endpoint) for key, endpoint in endpoints.configured().items()
    }
    try:
        with audit.transaction():
            with connection.cursor() as cursor:
                cursor.execute(HOLD_CONFIGURATION)
            context = _today(old, actor)
            gate.ensure_may_start(old.namespace_id)
            new = _insert(old, context, actor=actor, source=source) or _insert_again(
                old, context, actor=actor, source=source
            )
            takeover = plan.decide(history.read(cycle_id, hold=True), known=snapshots.keys())
            _refuse_open(cycle_id, takeover)
            plan.write(
                takeover,
                cycle_id=new,
                rerun_of=cycle_id,
                namespace=old.namespace_id,
                max_retries=enqueue.max_retries(context.document),
                snapshots=snapshots,
                by=actor.name,
                reason=reason,
            )
            queue.wake()
            _audit(old, new, takeover, actor=actor, reason=reason)
            return new
    except CycleActive as exc:
        skip_log.record_skips(
            [Skip(old.namespace_id, str(exc.extra["active_cycle_run_id"]), old.run_profile_id)],
            trigger=source,
        )
        raise


def _old(cycle_id: UUID, actor: Actor) -> CycleRun:
    found = (
        CycleRun.objects.filter(actor.filter(), pk=cycle_id)
        .only("id", "namespace_id", "status", "run_profile_id")
        .first()
    )
    if found is None:
        raise CycleUnknown(f"There is no cycle {cycle_id}.")
    if Cycle(found.status) not in CYCLE.final:
        raise NotFinished(
            f"The cycle {cycle_id} is {found.status}. Wait for its end, or cancel it, to run it again."
        )
    return found


def _today(old: CycleRun, actor: Actor) -> Context:
    """Return the context of the old cycle's run profile as it stands now."""
    if old.run_profile_id is None:
        return bridge.raw_context(old.namespace_id)
    try:
        context = bridge.context_for(old.run_profile_id, actor=actor)
    except RunProfileUnknown:
        raise Disabled(
            f"The run profile {old.run_profile_id} isn't in use any more. Configure it again to run it."
        ) from None
    if context.namespace != old.namespace_id:
        raise NamespaceMismatch(
            f"The run profile {old.run_profile_id} has moved to another namespace since: trigger it there."
        )
    return context


def _refuse_open(cycle_id: UUID, takeover: RerunPlan) -> None:
    still = sum(one.action is DeliveryAction.OPEN for one in takeover.deliveries)
    if still:
        raise DeliveriesOpen(
            f"{still} {'delivery' if still == 1 else 'deliveries'} of the cycle {cycle_id} may still be made. Wait for the end, or cancel."
        )


def _insert_again(old: CycleRun, context: Context, *, actor: Actor, source: Trigger) -> UUID:
    """Insert the new cycle where the one in the way has ended meanwhile. Raises CycleActive."""
    active = _active(old.namespace_id)
    new = (
        None
        if active.extra["active_cycle_run_id"]
        else _insert(old, context, actor=actor, source=source)
    )
    if new is None:
        raise active
    return new


def _insert(old: CycleRun, context: Context, *, actor: Actor, source: Trigger) -> UUID | None:
    """Insert the new cycle; None when another one is active."""
    new = uuid7()
    values: dict[str, Any] = {
        "id": new,
        "old": old.pk,
        "trigger": source,
        "by": actor.name,
        "profile_id": context.profile_id,
        "profile_revision": context.profile_revision,
        "run_profile_id": context.run_profile_id,
        "run_profile_revision": context.run_profile_revision,
        "instruction_id": context.instruction.instruction_id if context.instruction else None,
        "context": Jsonb(context.document),
        "hash": bridge.initiation_hash(context),
    }
    with connection.cursor() as cursor:
        cursor.execute(START, values)
        return new if cursor.fetchone() is not None else None


def _active(namespace: str) -> CycleActive:
    found = (
        CycleRun.objects.filter(namespace_id=namespace, status__in=ACTIVE)
        .values_list("pk", "status")
        .first()
    )
    name, status = (
        (f"The cycle {found[0]}", found[1]) if found else ("Another cycle", "about to end")
    )
    return CycleActive(
        f"{name} is {status} in {namespace}: at most one runs there at a time.",
        namespace=namespace,
        active_cycle_run_id=str(found[0]) if found else None,
    )


def _stopped(namespace: str) -> OrbitError | None:
    try:
        gate.ensure_may_start(namespace)
    except OrbitError as refusal:
        return refusal
    active = _active(namespace)
    return active if active.extra["active_cycle_run_id"] else None


def _audit(old: CycleRun, new: UUID, takeover: RerunPlan, *, actor: Actor, reason: str) -> None:
    audit.record(
        Action.CYCLE_RERUN,
        actor=actor.name,
        object_id=str(old.pk),
        namespace=old.namespace_id,
        before={"status": old.status},
        after={
            "cycle_run_id": str(new),
            "tiers_taken_over": sorted(takeover.done),
            "tiers_run": takeover.runs,
            "deliveries": len(takeover.sends),
            "dead_letters_requeued": sum(
                one.last is not None and one.last.letter is not None for one in takeover.sends
            ),
        },
        reason=reason,
    )
