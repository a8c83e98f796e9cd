"""Parents and runs end by their children; counts are exact at any time."""

from typing import Any

import pytest
from django.db import transaction

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry
from orbit.conductor import aggregate, ancestors, cascade, run_cancel
from orbit.errors import InvalidTransition
from orbit.models import ConductorParent, ConductorRun, ConductorTally, ConductorTask
from tests.support.conductor_tree import Tree, cancel, end, rows, start, states, wrong_counts

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def counts_are_exact() -> Any:
    yield
    assert wrong_counts() == []


def settle() -> None:
    while aggregate.run_aggregate_once().did_something:
        assert wrong_counts() == []


@pytest.mark.parametrize(
    ("policy", "tolerated", "failed", "cancelled", "expected"),
    [
        ("wait_all", None, 0, 0, "SUCCEEDED"),
        ("wait_all", None, 1, 0, "FAILED"),
        ("wait_all", None, 1, 1, "FAILED"),
        ("wait_all", None, 0, 1, "CANCELLED"),
        ("fail_fast", None, 0, 0, "SUCCEEDED"),
        ("fail_fast", None, 1, 0, "FAILED"),
        ("fail_fast", None, 0, 1, "CANCELLED"),
        ("tolerate", 2, 0, 0, "SUCCEEDED"),
        ("tolerate", 2, 2, 0, "SUCCEEDED"),
        ("tolerate", 2, 3, 0, "FAILED"),
        ("tolerate", 2, 2, 1, "CANCELLED"),
        ("tolerate", 0, 1, 0, "FAILED"),
    ],
)
def test_a_parent_and_its_run_end_by_the_policy_once_all_children_have_settled(
    policy: str, tolerated: int | None, failed: int, cancelled: int, expected: str
) -> None:
    tree = Tree()
    parent = tree.parent(policy=policy, tolerated=tolerated)
    *children, last = tree.leaves(6, parent)
    end("CANCELLED", children[:cancelled])
    end("SUCCEEDED", children[cancelled + failed :])
    settle()
    assert (states([parent]), tree.state) == (["RUNNING"], "RUNNING")
    end("FAILED", children[cancelled : cancelled + failed])
    end("SUCCEEDED", [last])
    settle()
    assert (states([parent]), tree.state) == ([expected], expected)


def test_three_levels_roll_up_within_one_call() -> None:
    tree = Tree()
    top = tree.parent()
    middles = [tree.parent(top) for _ in range(3)]
    lows = [tree.parent(middle) for middle in middles for _ in range(2)]
    leaves = [leaf for low in lows for leaf in tree.leaves(3, low)]
    end("SUCCEEDED", leaves[:-1])
    first = aggregate.run_aggregate_once()
    assert (first.succeeded, first.runs_ended) == (5 + 2, 0)
    assert states([top, middles[-1], lows[-1], lows[0]]) == ["RUNNING"] * 3 + ["SUCCEEDED"]
    end("SUCCEEDED", leaves[-1:])
    last = aggregate.run_aggregate_once()
    assert (last.succeeded, last.runs_ended, last.goes_on) == (3, 1, False)
    assert (states([top]), tree.state) == (["SUCCEEDED"], "SUCCEEDED")


def test_a_failure_deep_down_fails_what_is_above_it_and_leaves_the_other_branches_alone() -> None:
    tree = Tree()
    top = tree.parent(policy="tolerate", tolerated=1)
    bad, good = tree.parent(top, policy="fail_fast"), tree.parent(top)
    bad_leaves, good_leaves = tree.leaves(4, bad), tree.leaves(2, good)
    start(bad_leaves[1:2])
    end("FAILED", bad_leaves[:1])
    settle()
    assert states([top, bad, good]) == ["RUNNING", "FAILED", "PENDING"]
    assert states(bad_leaves) == ["FAILED"] + ["CANCELLED"] * 3
    assert ConductorTask.objects.get(pk=bad).error == "1 of its 4 children failed."
    end("SUCCEEDED", good_leaves)
    settle()
    assert (states([top]), tree.state) == (["SUCCEEDED"], "SUCCEEDED")


def test_a_failed_task_with_attempts_left_settles_nothing() -> None:
    tree = Tree()
    parent = tree.parent(policy="fail_fast")
    (leaf,) = tree.leaves(1, parent)
    start([leaf])
    rows("UPDATE orbit_conductortask SET state = 'FAILED', ready = true WHERE id = %s", leaf)
    settle()
    assert states([parent]) == ["RUNNING"]
    end("SUCCEEDED", [leaf])
    settle()
    assert states([parent]) == ["SUCCEEDED"]


def test_a_parent_that_is_not_fanned_out_waits_for_its_other_children() -> None:
    tree = Tree()
    parent = tree.parent(is_fanned_out=False, fanout=5)
    start([parent])
    end("SUCCEEDED", tree.leaves(3, parent))
    settle()
    assert states([parent]) == ["RUNNING"]
    more = tree.leaves(2, parent)
    ConductorParent.objects.filter(pk=parent).update(is_fanned_out=True)
    end("SUCCEEDED", more)
    settle()
    assert states([parent]) == ["SUCCEEDED"]


def test_a_run_ends_with_its_roots() -> None:
    for ends, expected in (
        (["SUCCEEDED", "SUCCEEDED"], "SUCCEEDED"),
        (["FAILED", "CANCELLED"], "FAILED"),
        (["SUCCEEDED", "CANCELLED"], "CANCELLED"),
    ):
        tree = Tree()
        roots = tree.leaves(2)
        end(ends[0], roots[:1])
        settle()
        assert tree.state == "RUNNING"
        end(ends[1], roots[1:])
        settle()
        run = ConductorRun.objects.get(pk=tree.id)
        assert (run.state, run.open_roots, run.finished_at is None) == (expected, 0, False)


def test_a_cancelled_tree_is_cancelled_to_its_leaves_in_batches(monkeypatch) -> None:
    monkeypatch.setattr(cascade, "BATCH", 3)
    tree = Tree()
    top = tree.parent(policy="wait_all")
    middles = [tree.parent(top) for _ in range(4)]
    leaves = [leaf for middle in middles for leaf in tree.leaves(5, middle)]
    end("SUCCEEDED", leaves[:2])
    end("FAILED", leaves[2:3])
    start(leaves[3:4])
    cancel(top)
    settle()
    assert states([top, *middles]) == ["CANCELLED"] * 5
    assert states(leaves) == ["SUCCEEDED"] * 2 + ["FAILED"] + ["CANCELLED"] * 17
    assert tree.state == "CANCELLED"
    assert not ConductorParent.objects.filter(is_cancelling=True).exists()


def test_a_cancelled_parent_gets_no_more_children_by_fan_out() -> None:
    tree = Tree()
    parent = tree.parent(is_fanned_out=False, fanout=5)
    leaves = tree.leaves(2, parent)
    cancel(parent)
    settle()
    assert states(leaves) == ["CANCELLED"] * 2
    row = ConductorParent.objects.get(pk=parent)
    assert (row.is_fanned_out, row.is_cancelling, row.fanned_out) == (True, False, 2)


def test_a_retry_makes_what_failed_above_it_run_again() -> None:
    tree = Tree()
    top = tree.parent(policy="fail_fast")
    middle = tree.parent(top, policy="tolerate", tolerated=0)
    leaf, other = tree.leaves(2, middle)
    end("SUCCEEDED", [other])
    end("FAILED", [leaf])
    settle()
    assert (states([top, middle]), tree.state) == (["FAILED"] * 2, "FAILED")
    with transaction.atomic():
        ancestors.reopen_ancestors(tree.id, middle)
        rows("UPDATE orbit_conductortask SET ready = true WHERE id = %s", leaf)
    assert (states([top, middle]), tree.state) == (["RUNNING"] * 2, "RUNNING")
    settle()
    assert (states([top, middle]), tree.state) == (["RUNNING"] * 2, "RUNNING")
    end("SUCCEEDED", [leaf])
    settle()
    assert (states([top, middle]), tree.state) == (["SUCCEEDED"] * 2, "SUCCEEDED")


def test_a_tally_that_others_hold_ends_nothing_too_early() -> None:
    tree = Tree()
    parent = tree.parent(policy="fail_fast")
    (leaf,) = tree.leaves(1, parent)
    end("FAILED", [leaf])
    settle()
    with transaction.atomic():
        ancestors.reopen_ancestors(tree.id, parent)
        rows("UPDATE orbit_conductortask SET ready = true WHERE id = %s", leaf)
    # The retry isn't added up yet: its parent still counts a failure, and nothing open.
    aggregate.END_PARENTS.send(parents=[parent])
    aggregate.MOVE_RUNS.rows(runs=[tree.id])
    assert (states([parent]), tree.state) == (["RUNNING"], "RUNNING")


@pytest.mark.parametrize("state", ["SUCCEEDED", "CANCELLED"])
def test_a_retry_under_an_ancestor_that_ended_for_good_is_refused(state: str) -> None:
    tree = Tree()
    parent = tree.parent(policy="tolerate", tolerated=1)
    leaf, other = tree.leaves(2, parent)
    tree.leaves(1)
    end("FAILED", [leaf])
    end(state, [other])
    settle()
    assert (states([parent]), tree.state) == ([state], "RUNNING")
    with pytest.raises(InvalidTransition):
        ancestors.reopen_ancestors(tree.id, parent)


def test_a_retry_in_a_run_that_is_being_cancelled_is_refused() -> None:
    tree = Tree()
    failed, open_ = tree.leaves(2)
    end("FAILED", [failed])
    run_cancel.cancel_run(tree.id, actor=SYSTEM, reason="wrong data")
    assert states([failed, open_]) == ["FAILED", "CANCELLED"]
    with pytest.raises(InvalidTransition):
        ancestors.reopen_ancestors(tree.id, None)


def test_a_cancelled_run_ends_with_its_tree_and_one_audit_entry(monkeypatch) -> None:
    monkeypatch.setattr(cascade, "BATCH", 2)
    tree = Tree()
    parent = tree.parent()
    leaves = tree.leaves(5, parent)
    roots = tree.leaves(4)
    end("SUCCEEDED", roots[-1:])
    for _ in range(2):
        assert run_cancel.cancel_run(tree.id, actor=SYSTEM, reason="wrong data").is_cancelling
    settle()
    assert tree.state == "CANCELLED"
    assert states([parent, *leaves, *roots]) == ["CANCELLED"] * 9 + ["SUCCEEDED"]
    (entry,) = AuditTrailEntry.objects.filter(action="conductor_run.cancelled", object_id=tree.id)
    assert entry.reason == "wrong data"
    with pytest.raises(InvalidTransition):
        run_cancel.cancel_run(tree.id, actor=SYSTEM, reason="again")


def test_tallies_of_many_runs_are_added_up_whatever_the_limits(monkeypatch) -> None:
    monkeypatch.setattr(aggregate, "RUNS", 2)
    monkeypatch.setattr(aggregate, "TALLIES", 1)
    trees = [Tree() for _ in range(5)]
    for tree in trees:
        for leaf in tree.leaves(3, tree.parent()):
            end("SUCCEEDED", [leaf])
    settle()
    assert {tree.state for tree in trees} == {"SUCCEEDED"}
    assert not ConductorTally.objects.exists()
    assert not aggregate.has_work()


def test_parents_and_what_is_cancelled_under_them_tell_it_by_events() -> None:
    tree = Tree()
    parent = tree.parent(policy="fail_fast")
    failed, other = tree.leaves(2, parent)
    end("FAILED", [failed])
    settle()
    events = rows(
        "SELECT task_id, name, metadata FROM telemetry_outboxevent WHERE session_id = %s"
        " ORDER BY occurred_at",
        tree.id,
    )
    assert [(task_id, name) for task_id, name, _ in events] == [
        (parent, "task_start"),
        (parent, "task_end"),
        (other, "decision"),
    ]
