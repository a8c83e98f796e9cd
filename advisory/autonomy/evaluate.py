"""After a computation of signals: do what the written policies say.

Every action is a transaction of its own, and only the first evaluation of a signal finds something
to do. So a process that is killed here leaves whole actions, and the next evaluation goes on.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from advisory.autonomy import policies
from advisory.autonomy.act import LimitReached, Target, act, find_targets
from advisory.autonomy.policies import Policy
from advisory.autonomy.switches import guarded
from advisory.models import AutonomyAction
from governance.kernel import terminal
from governance.kernel.errors import OrbitError
from orbit.profiles.files import ConfigInvalid

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a policy would have done, and why it didn't."""

    policy: str
    document: str
    namespace: str
    why: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the policies did after one computation."""

    actions: tuple[AutonomyAction, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    #: Why no policy was looked at.
    problem: str = ""
    #: Whether ``most`` was reached, so that another evaluation goes on.
    more: bool = False


@guarded(Evaluation)
def evaluate(computation_id: UUID, *, most: int | None = None) -> Evaluation:
    """Act on the signals of a computation that is committed. Doing it again does nothing more.

    ``most`` is for a caller whose own transaction keeps the lock of each action. Raises database
    errors; the actions before them are done.
    """
    try:
        written = policies.read()
    except ConfigInvalid as error:
        for line in error.lines:
            log.error("Autonomy did nothing: %s", line)
        return Evaluation(problem=error.detail)
    if not written:
        return Evaluation()
    with transaction.atomic():  # an error leaves a caller's transaction usable
        targets = find_targets(computation_id, written)
    return _act_on(targets, written, computation_id, most)


def _act_on(
    targets: Iterable[Target], written: Sequence[Policy], computation_id: UUID, most: int | None
) -> Evaluation:
    actions: list[AutonomyAction] = []
    refusals: list[Refusal] = []
    used_up: set[int] = set()
    for target in targets:
        if target.number in used_up:
            continue
        if len(actions) == most:
            return Evaluation(tuple(actions), tuple(refusals), more=True)
        policy = written[target.number]
        try:
            action = act(policy, target, computation_id=computation_id)
        except OrbitError as error:
            if isinstance(error, LimitReached):
                used_up.add(target.number)
            refusals.append(_refusal(policy, target, error))
        else:
            if action is not None:  # else it was switched off just now
                log.warning("Autonomy disabled %s: %s", target.name, action.reason)
                actions.append(action)
    return Evaluation(tuple(actions), tuple(refusals))


def _refusal(policy: Policy, target: Target, error: OrbitError) -> Refusal:
    log.warning(
        "Autonomy left %s as it is (policy %s): %s",
        target.name,
        policy.name,
        terminal.escape(error.detail),
    )
    return Refusal(policy.name, target.name, target.namespace, error.detail)
