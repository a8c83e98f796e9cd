"""Creating conductor runs."""

from typing import Any

import pytest

from governance.access.actors import SYSTEM, Actor, NamespaceUnknown, NotAllowed
from governance.access.roles import Scope
from governance.kernel import ulid
from governance.models import AuditTrailEntry
from orbit.conductor import create, reading
from orbit.models import ConductorParent, ConductorRun, ConductorTask
from tests.support import conductor

pytestmark = pytest.mark.django_db


def pointers(document: Any) -> list[str]:
    with pytest.raises(create.RunInvalid) as caught:
        create.create(document, actor=SYSTEM)
    assert not ConductorRun.objects.exists()
    return [error["pointer"] for error in caught.value.errors]


def of_tasks(*tasks: dict[str, Any]) -> list[str]:
    return pointers({"name": "r", "tasks": list(tasks)})


def test_tasks_are_pending_in_their_order() -> None:
    created = conductor.run(*conductor.leaves(3, priority=5, max_attempts=2))
    assert created.id == ulid.check(created.id)
    ids = [task.id for task in created.tasks]
    assert ids == sorted(ids)
    rows = ConductorTask.objects.filter(run_id=created.id).order_by("id")
    assert [(row.name, row.index) for row in rows] == [("t1", 1), ("t2", 2), ("t3", 3)]
    assert {(row.state, row.ready, row.priority, row.max_attempts) for row in rows} == {
        ("PENDING", True, 5, 2)
    }
    assert reading.counts(created.id) == {
        "PENDING": 3,
        "RUNNING": 0,
        "SUCCEEDED": 0,
        "FAILED": 0,
        "CANCELLED": 0,
    }
    assert ConductorRun.objects.get().open_roots == 3
    entry = AuditTrailEntry.objects.get(action="conductor_run.created")
    assert (entry.object_id, entry.namespace) == (created.id, "default")


def test_children_are_named_by_the_place_of_their_parent() -> None:
    created = conductor.run({"name": "c", "parent": 1}, {"name": "p"}, {"name": "d", "parent": 1})
    ids = [task.id for task in created.tasks]
    rows = {row.name: row for row in ConductorTask.objects.all()}
    assert (rows["c"].parent_id, rows["c"].index) == (ids[1], 1)
    assert (rows["d"].parent_id, rows["d"].index) == (ids[1], 2)
    assert rows["p"].is_parent and not rows["p"].ready
    assert ConductorParent.objects.get().pending == 2
    assert ConductorRun.objects.get().open_roots == 1


@pytest.mark.parametrize(
    ("members", "stored"),
    [
        ({}, ("wait_all", None)),
        ({"failure_policy": "fail_fast"}, ("fail_fast", None)),
        ({"failure_policy": {"tolerate": 2}}, ("tolerate", 2)),
        ({"failure_policy": "tolerate: 3"}, ("tolerate", 3)),
        ({"failure_policy": "tolerate", "tolerate": 4}, ("tolerate", 4)),
    ],
)
def test_a_policy_has_several_spellings(
    members: dict[str, Any], stored: tuple[str, int | None]
) -> None:
    conductor.run(conductor.parent(3, **members))
    row = ConductorParent.objects.get()
    assert (row.failure_policy, row.tolerated) == stored


@pytest.mark.parametrize(
    "policy",
    ["sometimes", "tolerate", "tolerate: x", "tolerate: -1", {"tolerate": -1}, {"tolerate": True}],
)
def test_an_unknown_policy_is_refused(policy: Any) -> None:
    assert of_tasks({"name": "a", "failure_policy": policy}) == ["/tasks/0/failure_policy"]


def test_a_run_needs_tasks() -> None:
    assert of_tasks() == ["/tasks"]
    assert pointers({"name": "r"}) == ["/tasks"] or pointers({"name": "r"}) == [""]
    assert of_tasks(*conductor.leaves(1_001)) == ["/tasks"]


def test_a_fan_out_of_nothing_is_refused() -> None:
    assert of_tasks(conductor.parent(0)) == ["/tasks/0/input/fanout"]
    nested = {"name": "a", "input": {"fanout": 2, "child": {"fanout": 0}}}
    assert of_tasks(nested) == ["/tasks/0/input/child/fanout"]


@pytest.mark.parametrize("value", [-1, 1.5, "3", None, True, False, [], {}, 10**12, 1e300])
def test_other_bad_fan_outs_are_accepted_and_never_ready(value: Any) -> None:
    conductor.run(conductor.parent(value))
    assert ConductorParent.objects.get().fanout is None
    assert not ConductorTask.objects.get().ready


def test_each_bad_task_has_its_pointer() -> None:
    assert of_tasks(
        {"name": "a#1"},
        {"name": "b", "parent": 2},
        {"name": "c", "parent": 1},
        {"name": "d", "parent": 9},
        {"name": "e", "parent": 4},
        conductor.parent(2),
        {"name": "f", "parent": 5},
        {"name": "g\u202e"},
    ) == [
        "/tasks/0/name",
        "/tasks/1/parent",
        "/tasks/2/parent",
        "/tasks/3/parent",
        "/tasks/4/parent",
        "/tasks/6/parent",
        "/tasks/7/name",
    ]


def test_a_thousand_nested_tasks_are_created() -> None:
    tasks = [{"name": "t0"}, *({"name": f"t{n}", "parent": n - 1} for n in range(1, 1_000))]
    conductor.run(*tasks)
    assert ConductorTask.objects.filter(is_parent=True).count() == 999


def test_who_may_not_operate_creates_nothing() -> None:
    document = {"name": "r", "namespace": "eu", "tasks": conductor.leaves(1)}
    reader = Actor("reader", None, frozenset({Scope.READ}), None)
    confined = Actor("other", None, frozenset(Scope), frozenset({"us"}))
    with pytest.raises(NotAllowed):
        create.create(document, actor=reader)
    for actor in (confined, SYSTEM):
        with pytest.raises(NamespaceUnknown):
            create.create(document, actor=actor)
    assert not ConductorRun.objects.exists()
