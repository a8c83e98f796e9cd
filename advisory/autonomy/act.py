"""One action of a policy: a change of one document, in one transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import IntegrityError
from psycopg.types.json import Jsonb

from advisory.autonomy import documents
from advisory.autonomy.policies import Policy
from advisory.autonomy.switches import guarded
from advisory.models import AutonomyAction
from advisory.signals import windows
from advisory.statistics import rounding
from governance import audit
from governance.access.actors import SYSTEM
from governance.audit.actions import Action
from governance.kernel import constraints, sql
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.identifiers import uuid7
from governance.namespaces import gate
from orbit.profiles import revisions
from orbit.states import ProfileState

FIND_TARGETS = sql.load(__name__, "find_targets")
INSERT_ACTION = sql.load(__name__, "insert_action")

_COLLISIONS = {
    "autonomy_rate_limit": "another process acted by this policy at this moment",
    "autonomy_acts_once": "this signal has led to an action already",
}


class Refused(OrbitError):
    """This action of autonomy isn't allowed now."""

    code, kind = "autonomy_refused", Kind.CONFLICT


class LimitReached(Refused):
    """The policy's actions of this UTC day are used up."""

    code = "autonomy_limit"


@dataclass(frozen=True, slots=True)
class Target:
    """A document that a policy would disable, and the signal that decides."""

    number: int  # of the policy
    signal_id: UUID
    profile_id: str
    run_profile_id: str | None
    namespace: str
    confidence: float
    revision: int
    #: Where the change takes effect.
    namespaces: Sequence[str]

    @property
    def name(self) -> str:
        """The id of the document."""
        return self.profile_id if self.run_profile_id is None else self.run_profile_id


@guarded(list)
def find_targets(computation_id: UUID, policies: Sequence[Policy]) -> list[Target]:
    """Return what ``policies`` would disable after this computation of signals, by one query."""
    rows = FIND_TARGETS.rows(
        computation=computation_id,
        usual_seconds=windows.usual().total_seconds(),
        policies=Jsonb(
            [
                {
                    "number": number,
                    "signal": policy.signal,
                    "windows": policy.windows,
                    "min_confidence": policy.min_confidence,
                    "kind": policy.kind.noun,
                    "profiles": policy.profiles,
                    "namespaces": policy.namespaces,
                }
                for number, policy in enumerate(policies)
            ]
        ),
    )
    return [Target(*row) for row in rows]


@guarded(lambda: None)
def act(policy: Policy, target: Target, *, computation_id: UUID) -> AutonomyAction:
    """Disable the document if it is still allowed. Raises Refused, or one of ``gate.REFUSALS``."""
    try:
        return _act(policy, target, computation_id)
    except IntegrityError as error:
        if (name := constraints.violated(error)) in _COLLISIONS:
            raise Refused(f"Not done: {_COLLISIONS[name]}.") from None
        raise


def _act(policy: Policy, target: Target, computation_id: UUID) -> AutonomyAction:
    kind, action_id = policy.kind, uuid7()
    # A revision never changes, so what takes long with a large one is done before the transaction.
    change = documents.Change.of(kind, target.name, target.revision, state=ProfileState.DISABLED)
    with audit.transaction():
        # Whatever was read before may have changed: editors and other evaluators wait from here on.
        revisions.lock()
        target = _still(policy, target, computation_id)
        _ensure_inside(policy, target)
        _ensure_open({target.namespace, *target.namespaces})
        confidence = rounding.down(target.confidence, 4)
        reason = (
            f"policy {policy.name}: {policy.signal} in {target.namespace} for {policy.windows} "
            f"window{'' if policy.windows == 1 else 's'}, confidence {confidence} "
            f"(signal {target.signal_id})"
        )
        recorded = INSERT_ACTION.one(
            id=action_id,
            policy=policy.name,
            document=Jsonb(policy.document),
            profile_id=target.profile_id,
            run_profile_id=target.run_profile_id,
            namespace=target.namespace,
            signal=target.signal_id,
            base_revision=target.revision,
            made_revision=target.revision + 1,
            reason=reason,
            most=policy.max_per_day,
        )
        if recorded is None:
            raise LimitReached(
                f"Policy {policy.name} has used up its max_per_day, {policy.max_per_day}, "
                "until midnight UTC."
            )
        change.write(actor=SYSTEM, reason=reason)
        audit.record(
            Action.AUTONOMY_ACTED,
            actor=SYSTEM.name,
            object_id=str(action_id),
            namespace=target.namespace,
            before=change.before,
            after=change.after,
            reason=reason,
        )
        return AutonomyAction.objects.get(id=action_id)


def _still(policy: Policy, target: Target, computation_id: UUID) -> Target:
    """Return the target as it is now. Raises Refused if the policy's condition no longer holds."""
    only = replace(policy, profiles=(target.profile_id,), namespaces=(target.namespace,))
    for current in find_targets(computation_id, [only]):
        if (current.name, current.revision) == (target.name, target.revision):
            return replace(current, number=target.number)
    raise Refused(f"{target.name} has changed meanwhile, or a later signal says something else.")


def _ensure_inside(policy: Policy, target: Target) -> None:
    outside = [name for name in target.namespaces if name not in policy.namespaces]
    if outside:
        raise Refused(
            f"{target.name} also runs in {', '.join(outside)}, which the policy doesn't name."
        )


def _ensure_open(namespaces: Collection[str]) -> None:
    for refusal in gate.refusals(namespaces).values():
        raise refusal
