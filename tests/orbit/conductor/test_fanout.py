"""Fan-out: children of parents, made by passes."""

from typing import Any

import pytest

from governance.access.actors import SYSTEM
from governance.namespaces import halts
from orbit.conductor import fanout, inputs, reading, ulid
from orbit.models import ConductorParent, ConductorRun, ConductorTask
from tests.support import conductor

pytestmark = pytest.mark.django_db


def drain(max_fanout: int = 100_000) -> int:
    """Fan out until nothing is pending; return the number of passes that did something."""
    passes = 0
    while fanout.run_fanout_once(max_fanout).did_something:
        passes += 1
    return passes


def test_a_parent_gets_its_children_and_runs() -> None:
    created = conductor.run(
        {"name": "P", "input": {"fanout": 3, "x": 1}, "priority": 7, "max_attempts": 2}
    )
    done = fanout.run_fanout_once()
    assert (done.children, done.completed, done.partial, done.failed) == (3, 1, [], 0)
    parent = ConductorTask.objects.get(name="P")
    assert parent.state == "RUNNING"
    assert parent.started_at is not None
    children = ConductorTask.objects.filter(parent=parent).order_by("id")
    assert [(child.name, child.index) for child in children] == [("P#1", 1), ("P#2", 2), ("P#3", 3)]
    assert {(c.state, c.ready, c.priority, c.max_attempts, c.run_id) for c in children} == {
        ("PENDING", True, 7, 2, created.id)
    }
    assert all(ulid.check(child.pk) for child in children)
    shown = reading.find_task(children[1].pk, actor=SYSTEM)
    assert reading.input_of(shown) == {"x": 1, "index": 2}
    counts = reading.counts(created.id)
    assert (counts["PENDING"], counts["RUNNING"]) == (3, 1)
    assert ConductorParent.objects.get().pending == 3


def test_it_is_idempotent() -> None:
    conductor.run(conductor.parent(5))
    assert drain() == 1
    assert fanout.run_fanout_once() == fanout.FanoutPass()
    assert not fanout.is_pending()
    assert ConductorTask.objects.count() == 6


def test_a_partial_fan_out_says_so_and_goes_on() -> None:
    created = conductor.run(conductor.parent(5, "A"), conductor.parent(4, "B"))
    first = fanout.run_fanout_once(3)
    assert first.children == 3
    assert first.partial == [fanout.PartialFanout(created.tasks[0].id, "A", 3, 5)]
    second = fanout.run_fanout_once(3)
    assert (second.children, second.completed) == (3, 1)
    assert [(part.name, part.children) for part in second.partial] == [("B", 1)]
    assert fanout.is_pending()
    assert drain(3) == 1
    for name, number in (("A", 5), ("B", 4)):
        rows = ConductorTask.objects.filter(parent__name=name).order_by("id")
        assert [row.index for row in rows] == list(range(1, number + 1))
    assert reading.counts(created.id)["PENDING"] == 9


def test_children_may_be_parents() -> None:
    child = {"fanout": 2, "child": {"do": "it"}}
    created = conductor.run(
        {"name": "P", "input": {"fanout": 3, "child": child}, "failure_policy": {"tolerate": 1}}
    )
    assert drain() == 2
    names = ConductorTask.objects.filter(is_parent=False).order_by("id")
    assert sorted(task.name for task in names) == [
        f"P#{outer}#{inner}" for outer in (1, 2, 3) for inner in (1, 2)
    ]
    leaf = reading.find_task(names.get(name="P#2#1").pk, actor=SYSTEM)
    assert reading.input_of(leaf) == {"do": "it", "index": 1}
    nested = ConductorParent.objects.filter(task__name__startswith="P#")
    assert {(row.failure_policy, row.tolerated, row.pending) for row in nested} == {
        ("tolerate", 1, 2)
    }
    assert reading.counts(created.id) == {
        "PENDING": 6,
        "RUNNING": 4,
        "SUCCEEDED": 0,
        "FAILED": 0,
        "CANCELLED": 0,
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-1, "it is -1"),
        (1.5, "it is 1.5"),
        ("3", "it is text"),
        (None, "it is null"),
        (True, "it is a boolean"),
        ([], "it is an array"),
        (10**12, "it is 1000000000000"),
        (10**300, "far too large"),
        (1e300, "far too large"),
    ],
)
def test_a_bad_value_fails_its_parent_and_the_rest_goes_on(value: Any, words: str) -> None:
    conductor.run(conductor.parent(value, "bad"), conductor.parent(2, "good"))
    done = fanout.run_fanout_once()
    assert (done.failed, done.children) == (1, 2)
    bad = ConductorTask.objects.get(name="bad")
    assert (bad.state, bad.ready) == ("FAILED", False)
    assert words in str(bad.error)
    assert str(bad.error).startswith("input.fanout must be a whole number from 1 to 10,000,000")
    assert bad.finished_at is not None
    assert not fanout.is_pending()


def test_nested_children_with_a_bad_value_fail() -> None:
    conductor.run({"name": "P", "input": {"fanout": 3, "child": {"fanout": "2"}}})
    drain()
    children = ConductorTask.objects.filter(parent__name="P")
    assert {(child.state, child.error) for child in children} == {
        ("FAILED", inputs.problem({"fanout": "2"}))
    }


@pytest.mark.parametrize(
    ("task_input", "words"),
    [
        ({"fanout": 10_000, "child": {"fanout": 10_000}}, "make more than 10,000,000 tasks"),
        ({"fanout": 10_000_000, "child": {"fanout": 1}}, "make more than 10,000,000 tasks"),
    ],
)
def test_an_absurd_total_fails_the_parent(task_input: Any, words: str) -> None:
    conductor.run({"name": "P", "input": task_input})
    assert fanout.run_fanout_once().failed == 1
    assert words in str(ConductorTask.objects.get().error)


def test_nesting_has_a_limit() -> None:
    task_input: dict[str, Any] = {}
    for _ in range(inputs.MOST_LEVELS):
        task_input = {"fanout": 1, "child": task_input}
    assert inputs.problem(task_input) == ""
    assert "nested deeper" in inputs.problem({"fanout": 1, "child": task_input})


def test_a_halted_namespace_gets_no_children() -> None:
    conductor.run(conductor.parent(2, "there"), namespace="eu")
    conductor.run(conductor.parent("2", "bad"), namespace="eu")
    conductor.run(conductor.parent(2, "here"), namespace="us")
    halts.halt("eu", actor=SYSTEM, reason="test")
    assert fanout.run_fanout_once().children == 2
    assert not fanout.is_pending()
    assert not ConductorTask.objects.filter(parent__name="there").exists()
    assert ConductorTask.objects.get(name="bad").state == "PENDING"
    halts.resume("eu", actor=SYSTEM, reason="test")
    done = fanout.run_fanout_once()
    assert (done.children, done.failed) == (2, 1)


def test_a_cancelled_parent_gets_no_children() -> None:
    created = conductor.run(conductor.parent(3), conductor.parent(3, "Q"))
    ConductorTask.objects.filter(pk=created.tasks[0].id).update(state="CANCELLED")
    assert fanout.run_fanout_once().children == 3
    assert not ConductorTask.objects.filter(parent__name="P").exists()
    assert ConductorParent.objects.filter(is_fanned_out=True).count() == 2


def test_a_cancelled_run_gets_no_children() -> None:
    created = conductor.run(conductor.parent(3))
    run = ConductorRun.objects.get(pk=created.id)
    run.cancel_requested_at = run.created_at
    run.save()
    assert not fanout.run_fanout_once().did_something


def test_children_that_came_along_need_no_fan_out() -> None:
    conductor.run({"name": "P"}, {"name": "c", "parent": 0})
    assert not fanout.is_pending()
    assert not fanout.run_fanout_once().did_something


def test_max_fanout_has_bounds() -> None:
    for value in (0, -1, 32**5):
        with pytest.raises(ValueError, match="max_fanout"):
            fanout.run_fanout_once(value)
