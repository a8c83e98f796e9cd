"""Fan-out: children of parents, made by passes."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from governance.access.actors import SYSTEM
from governance.kernel import ulid
from governance.namespaces import halts
from orbit.conductor import counts, fanout, inputs, reading
from orbit.models import ConductorParent, ConductorRun, ConductorTask
from tests.support import conductor

READ = """SELECT
    sum(pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid))
FROM pg_class c
WHERE c.relname IN ('orbit_conductorparent', 'orbit_conductortask')
    OR c.relname LIKE 'conductor_parent%' OR c.relname LIKE 'orbit_conductor%pkey'"""
pytestmark = pytest.mark.django_db


def drain(max_fanout: int = 100_000) -> int:
    """Fan out until nothing is pending; return the number of passes that did something."""
    passes = 0
    while fanout.run_fanout_once(max_fanout).did_something:
        passes += 1
    return passes


def pending_children(run_id: str) -> dict[str, int]:
    """Return how many pending children each parent of a run has, by its name."""
    parents = ConductorParent.objects.filter(task__run=run_id).select_related("task")
    exact = counts.of_parents(run_id, [(row.pk, row) for row in parents])
    return {row.task.name: exact[row.pk].pending for row in parents}


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
    states = reading.counts(created.id)
    assert (states["PENDING"], states["RUNNING"]) == (3, 1)
    assert pending_children(created.id) == {"P": 3}


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
    assert first.partial == [
        fanout.PartialFanout(created.tasks[0].id, "A", 2, 5),
        fanout.PartialFanout(created.tasks[1].id, "B", 1, 4),
    ]
    assert fanout.is_pending()
    assert drain(3) == 2
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
    assert set(nested.values_list("failure_policy", "tolerated", "namespace")) == {
        ("tolerate", 1, "default")
    }
    assert pending_children(created.id) == {"P": 0, "P#1": 2, "P#2": 2, "P#3": 2}
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
    assert fanout.is_pending()
    assert fanout.run_fanout_once() == fanout.FanoutPass(cancelled=1)
    assert ConductorTask.objects.get().state == "CANCELLED"
    assert not fanout.is_pending()


def test_a_small_parent_does_not_wait_for_huge_ones() -> None:
    conductor.run(conductor.parent(10_000_000, "huge"), conductor.parent(400_000, "large"))
    conductor.run(conductor.parent(30, "small"))
    first = fanout.run_fanout_once(120)
    assert first.completed == 1
    # What the small one left goes to the one that has waited longest.
    assert [(part.name, part.children) for part in first.partial] == [("huge", 50), ("large", 40)]
    second = fanout.run_fanout_once(100)
    assert [(part.name, part.children) for part in second.partial] == [("huge", 100), ("large", 90)]


def test_every_parent_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many huge ones came first, and if a pass has fewer children than parents."""
    monkeypatch.setattr(fanout, "_MAX_PARENTS", 3)
    conductor.run(*(conductor.parent(1_000_000, f"huge{number}") for number in range(5)))
    conductor.run(conductor.parent(1, "small"))
    looked_at = [fanout.run_fanout_once(2) for _ in range(3)]
    assert [[part.name for part in done.partial] for done in looked_at] == [
        ["huge0", "huge1"],
        ["huge2", "huge3"],
        ["huge4"],
    ]
    assert looked_at[-1].completed == 1


def test_namespaces_share_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "_MAX_PARENTS", 4)
    conductor.run(
        *(conductor.parent(1_000_000, f"eu{number}") for number in range(9)), namespace="eu"
    )
    conductor.run(conductor.parent(5, "us"), namespace="us")
    assert fanout.run_fanout_once(100).completed == 1


def test_parents_of_a_halted_namespace_cost_a_pass_nothing() -> None:
    conductor.run(*(conductor.parent(5, f"there{n}") for n in range(800)), namespace="eu")
    halts.halt("eu", actor=SYSTEM, reason="test")
    conductor.run(conductor.parent(5, "here"), namespace="us")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orbit_conductorparent, orbit_conductortask, orbit_conductorrun")
        cursor.execute(
            "SET LOCAL enable_seqscan = off"
        )  # which is cheaper while the tables are small
    assert scanned(lambda: fanout.run_fanout_once().completed) < 100
    assert scanned(fanout.is_pending) < 100


def scanned(work: Callable[[], Any]) -> int:
    """Return how many rows of parents and tasks ``work`` read, by index or not."""
    with connection.cursor() as cursor:
        cursor.execute(READ)
        ((before,),) = cursor.fetchall()
        work()
        cursor.execute(READ)
        ((after,),) = cursor.fetchall()
    return int(after - before)


def test_children_that_came_along_need_no_fan_out() -> None:
    conductor.run({"name": "P"}, {"name": "c", "parent": 0})
    assert not fanout.is_pending()
    assert not fanout.run_fanout_once().did_something


def test_max_fanout_has_bounds() -> None:
    for value in (0, -1, 32**5):
        with pytest.raises(ValueError, match="max_fanout"):
            fanout.run_fanout_once(value)


def test_the_statement_of_fan_out_numbers_children_as_python_does() -> None:
    conductor.run(conductor.parent(1_100))
    fanout.run_fanout_once()
    children = ConductorTask.objects.filter(is_parent=False).order_by("id")
    ids = list(children.values_list("id", "index"))
    prefix = ids[0][0][:-5]
    assert ids == [(prefix + ulid.encode(n, 5), n) for n in range(1, 1_101)]
    assert all(ulid.check(text) == text for text, _ in ids)


def test_children_of_two_passes_differ_and_sort_by_pass() -> None:
    conductor.run(conductor.parent(40))
    fanout.run_fanout_once(25)
    fanout.run_fanout_once(25)
    rows = ConductorTask.objects.filter(is_parent=False).order_by("id")
    assert [row.index for row in rows] == list(range(1, 41))
