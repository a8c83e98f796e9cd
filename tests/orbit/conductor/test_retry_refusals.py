"""Retries that are refused, because what they retry would be cancelled again at once."""

from typing import Any

import pytest

from governance.access.actors import SYSTEM
from orbit.conductor import aggregate, fanout, fenced, leases, reading, work
from orbit.conductor.create import CreatedRun
from orbit.conductor.fenced import Held
from orbit.errors import InvalidTransition
from orbit.models import ConductorTask
from tests.support import conductor
from tests.support.conductor_tree import wrong_counts

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def counts_are_exact() -> Any:
    yield
    assert wrong_counts() == []


def settle() -> None:
    while fanout.run_fanout_once().did_something or aggregate.run_to_end().did_something:
        pass


def work_on(run: CreatedRun, *, good: bool) -> int:
    """End all ready tasks; return how many."""
    claimed = leases.claim(SYSTEM, "w", 100, run_id=run.id)
    held = [Held(task.id, task.lease_token) for task in claimed]
    if good:
        fenced.complete(held, [None] * len(held), actor=SYSTEM)
    else:
        fenced.fail(held, error="broken", actor=SYSTEM)
    settle()
    return len(held)


def state(run: CreatedRun, name: str = "") -> str:
    if not name:
        return str(reading.find_run(run.id, actor=SYSTEM).state)
    return str(ConductorTask.objects.get(run=run.id, name=name).state)


def retry(run: CreatedRun, name: str) -> None:
    work.retry(ConductorTask.objects.get(run=run.id, name=name).pk, actor=SYSTEM)


def test_a_task_whose_parent_would_fail_again_because_of_others_is_not_retried() -> None:
    run = conductor.run(conductor.parent(3, failure_policy={"tolerate": 1}))
    settle()
    work_on(run, good=False)
    with pytest.raises(InvalidTransition, match="Retry that task"):
        retry(run, "P#2")
    assert (state(run, "P"), state(run)) == ("FAILED", "FAILED")
    retry(run, "P")
    assert work_on(run, good=True) == 3
    assert state(run) == "SUCCEEDED"


def test_a_retry_that_can_not_help_is_refused_and_changes_nothing() -> None:
    run = conductor.run(
        {"name": "P", "failure_policy": "fail_fast"},
        {"name": "leaf", "parent": 0},
        {"name": "bad", "parent": 0, "input": {"fanout": -1}},
    )
    settle()
    for name in ("bad", "P"):
        with pytest.raises(InvalidTransition, match="Create a new run"):
            retry(run, name)
    assert (state(run, "P"), state(run)) == ("FAILED", "FAILED")
