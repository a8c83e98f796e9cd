"""A retry of a failed parent runs what failed under it, and all of it ends again."""

import pytest

from governance.access.actors import SYSTEM
from orbit.conductor import aggregate, fanout, fenced, leases, work
from orbit.conductor.fenced import Held
from orbit.models import ConductorRun, ConductorTask
from telemetry.models import OutboxEvent
from tests.support.conductor import parent, run

pytestmark = pytest.mark.django_db


def states(run_id: str) -> dict[str, str]:
    return dict(ConductorTask.objects.filter(run=run_id).values_list("name", "state"))


def end_all(run_id: str, *, fail: bool) -> None:
    """Claim what is ready, end it, and let the run go as far as it can."""
    fanout.run_fanout_once()
    tasks = leases.claim(SYSTEM, "w", 100, 30, run_id)
    held = [Held(task.id, task.lease_token) for task in tasks]
    if fail:
        fenced.fail(held, error="x", actor=SYSTEM)
    else:
        fenced.complete(held, [1] * len(held), actor=SYSTEM)
    aggregate.run_to_end()


def test_each_failed_parent_below_has_the_event_of_its_new_start() -> None:
    created = run(
        {"name": "A"},
        {"name": "B", "parent": 0},
        {"name": "leaf", "parent": 1},
    )
    end_all(created.id, fail=True)
    assert states(created.id) == {"A": "FAILED", "B": "FAILED", "leaf": "FAILED"}
    OutboxEvent.objects.all().delete()
    work.retry(created.tasks[0].id, actor=SYSTEM)
    events = OutboxEvent.objects.exclude(task_id=None).values_list("task_id", "name")
    a, b, leaf = [task.id for task in created.tasks]
    assert sorted(events) == [(a, "task_start"), (b, "task_start")]
    end_all(created.id, fail=False)
    assert ConductorRun.objects.get(pk=created.id).state == "SUCCEEDED"
    assert OutboxEvent.objects.filter(task_id=leaf).count() == 2


def test_a_parent_below_under_which_nothing_can_be_retried_ends_all_the_same() -> None:
    created = run(
        {"name": "A"},
        {"name": "leaf", "parent": 0},
        parent(-1, "bad", parent=0),
        {"name": "B", "parent": 0},
        {"name": "given up", "parent": 3},
    )
    end_all(created.id, fail=True)
    assert set(states(created.id).values()) == {"FAILED"}
    work.cancel(created.tasks[4].id, actor=SYSTEM)
    work.retry(created.tasks[0].id, actor=SYSTEM)
    end_all(created.id, fail=False)
    assert states(created.id) == {
        "A": "FAILED",
        "leaf": "SUCCEEDED",
        "bad": "FAILED",
        "B": "CANCELLED",
        "given up": "CANCELLED",
    }
    assert ConductorRun.objects.get(pk=created.id).state == "FAILED"
