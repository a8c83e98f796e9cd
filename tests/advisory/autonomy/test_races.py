"""Evaluators at once, and killed ones; on a database of their own."""

import os
import signal
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections

from advisory.autonomy import revert as reverting
from advisory.autonomy.evaluate import evaluate
from advisory.autonomy.revert import AlreadyReverted
from advisory.models import AutonomyAction
from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit.models import Profile, ProfileRevision
from tests.support import advisory_signals, utc_day
from tests.support.advisory_signals import policy
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.threads import at_once

pytestmark = pytest.mark.usefixtures("committed")
ROUNDS = 20
Write = Callable[..., None]


def broken(*names: str) -> UUID:
    """Create profiles that do badly; return the computation that says so."""
    store_profiles(
        [profile(name) for name in names], [run_profile(f"{name}-eu", name) for name in names]
    )
    return advisory_signals.store({(name, "eu"): ("low_performance", 0.99) for name in names})


def test_of_two_evaluators_of_the_same_computation_one_acts(write: Write) -> None:
    names = [f"p{number}" for number in range(ROUNDS)]
    write(policy(profiles=names, max_per_day=ROUNDS))
    for name in names:
        computation = broken(name)
        done = at_once(*[lambda: evaluate(computation)] * 2)  # noqa: B023 - both end in the round
        assert sum(len(evaluation.actions) for evaluation in done) == 1
    assert AutonomyAction.objects.count() == ROUNDS
    assert AuditTrailEntry.objects.filter(action="autonomy.acted").count() == ROUNDS
    assert not ProfileRevision.objects.filter(number__gt=2).exists()


def test_evaluators_at_once_never_exceed_the_number_of_a_day(write: Write) -> None:
    written = []
    for number in range(ROUNDS):
        utc_day.wait_for_room()
        names = [f"p{number}-{each}" for each in range(4)]
        written.append(policy(f"policy{number}", profiles=names, max_per_day=1))
        write(*written)
        computations = [broken(name) for name in names]
        # Each in the sight of two.
        at_once(*[lambda one=one: evaluate(one) for one in computations])  # type: ignore[misc]
    assert AutonomyAction.objects.count() == ROUNDS
    assert Profile.objects.filter(state="disabled").count() == ROUNDS


def test_of_two_reverts_one_happens(write: Write) -> None:
    names = [f"p{number}" for number in range(ROUNDS)]
    write(policy(profiles=names, max_per_day=ROUNDS))

    def revert(action: AutonomyAction) -> bool:
        try:
            reverting.revert(action.pk, actor=SYSTEM, reason="wrong")
        except AlreadyReverted:
            return False
        return True

    for action in evaluate(broken(*names)).actions:
        done = at_once(*[lambda: revert(action)] * 2)  # noqa: B023 - both end in the round
        assert sorted(done) == [False, True]
    assert not ProfileRevision.objects.filter(number__gt=3).exists()


def killed(computation: UUID, at: int, *, commits: bool) -> bool:
    """Evaluate in a process that is killed after its ``at``-th statement, or before its ``at``-th
    commit; tell whether it was.
    """
    count = 0

    def counted(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        result = None if commits else call(*args, **kwargs)
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs) if commits else result

    connections.close_all()
    child = os.fork()
    if child == 0:
        if commits:
            commit = connection._commit
            connection._commit = lambda: counted(commit)
            evaluate(computation)
        else:
            with connection.execute_wrapper(counted):
                evaluate(computation)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def traces() -> tuple[int, int, int]:
    return (
        AutonomyAction.objects.count(),
        Profile.objects.filter(state="disabled").count(),
        AuditTrailEntry.objects.filter(action="autonomy.acted").count(),
    )


def test_an_action_that_is_killed_anywhere_happened_whole_or_not_at_all(write: Write) -> None:
    write(policy(profiles=["p"]))
    computation = broken("p")
    kills = 0
    while killed(computation, kills + 1, commits=False):
        kills += 1
        assert traces() == (0, 0, 0)
    assert kills > 8
    assert traces() == (1, 1, 1)
    assert not evaluate(computation).actions


def test_killed_just_before_and_just_after_a_commit(write: Write) -> None:
    write(policy(profiles=["p", "q"]))
    computation = broken("p", "q")
    # The first commit ends the search for targets.
    assert killed(computation, 2, commits=True)
    assert traces() == (0, 0, 0)
    # Before the commit of the second action is after that of the first.
    assert killed(computation, 3, commits=True)
    assert traces() == (1, 1, 1)
    assert len(evaluate(computation).actions) == 1
    assert traces() == (2, 2, 2)
