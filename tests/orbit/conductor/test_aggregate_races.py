"""Aggregators at once, and killed at each statement: nothing is counted twice, or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from orbit.conductor import aggregate, ancestors, retrying
from orbit.models import ConductorTask
from telemetry.models import OutboxEvent
from tests.support.aggregators import kill_ten_aggregators_at_random, killed_aggregators
from tests.support.conductor_tree import Tree, cancel, end, states, wrong_counts

pytestmark = pytest.mark.usefixtures("committed")


def test_ten_aggregators_at_once_count_exactly() -> None:
    trees = [Tree() for _ in range(3)]
    leaves = {
        tree: [tree.leaves(20, tree.parent(tree.parent())) for _ in range(2)] for tree in trees
    }

    def aggregate_to_end() -> int:
        try:
            return aggregate.run_to_end().tallies
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        for groups in leaves.values():
            for group in groups:
                for leaf in group:
                    end("SUCCEEDED", [leaf])
                running = [pool.submit(aggregate_to_end) for _ in range(10)]
                assert wrong_counts() == []
        assert all(future.result() >= 0 for future in running)
    aggregate.run_to_end()
    assert wrong_counts() == []
    assert {tree.state for tree in trees} == {"SUCCEEDED"}


def test_an_aggregator_killed_after_any_statement_loses_and_doubles_nothing() -> None:
    with killed_aggregators() as aggregate_and_die:
        for statement in range(1, 60):
            tree = Tree()
            good, bad = tree.parent(policy="wait_all"), tree.parent(policy="fail_fast")
            end("SUCCEEDED", tree.leaves(3, good))
            failed, *others = tree.leaves(3, bad)
            end("FAILED", [failed])
            has_ended = aggregate_and_die(statement)
            assert wrong_counts() == []
            aggregate.run_to_end()
            assert wrong_counts() == []
            assert states([good, bad, *others]) == ["SUCCEEDED", "FAILED", "CANCELLED", "CANCELLED"]
            assert tree.state == "FAILED"
            if has_ended:
                assert statement > 8
                break
        else:
            pytest.fail("the aggregator did not end by itself")


def test_ten_aggregators_killed_at_random_count_exactly_and_end_each_parent_once() -> None:
    trees = [Tree() for _ in range(3)]
    tops = [tree.parent() for tree in trees]
    middles = [
        [tree.parent(top, "fail_fast") for _ in range(3)]
        for tree, top in zip(trees, tops, strict=True)
    ]
    for tree, parents in zip(trees, middles, strict=True):
        for parent in parents:
            *leaves, last = tree.leaves(20, parent)
            for leaf in leaves:
                end("SUCCEEDED", [leaf])
            end("FAILED" if parent == parents[-1] else "SUCCEEDED", [last])
    kill_ten_aggregators_at_random()
    assert wrong_counts() == []
    aggregate.run_to_end()  # a killed one's statement may still run: its tallies come later
    assert wrong_counts() == []
    assert [states(parents) for parents in middles] == [["SUCCEEDED", "SUCCEEDED", "FAILED"]] * 3
    assert (states(tops), {tree.state for tree in trees}) == (["FAILED"] * 3, {"FAILED"})
    ended = OutboxEvent.objects.filter(name="task_end").values_list("task_id", flat=True)
    parents = sorted([*tops, *(parent for group in middles for parent in group)])
    assert sorted(ended) == parents


def test_a_retry_survives_an_aggregator_killed_in_the_middle() -> None:
    with killed_aggregators(retry_batch=2) as aggregate_and_die:
        for statement in range(1, 120, 7):  # each place of a pass may have its turn
            tree = Tree()
            top = tree.parent(policy="fail_fast")
            inner = tree.parent(top, policy="fail_fast")
            leaves = [*tree.leaves(3, top), *tree.leaves(3, inner)]
            end("FAILED", leaves)
            aggregate.run_to_end()
            assert states([top, inner]) == ["FAILED", "FAILED"]
            with transaction.atomic():
                ancestors.reopen_ancestors(tree.id, top, whole=True)
                retrying.BEGIN_RETRY.execute(id=top)
            has_ended = aggregate_and_die(statement)
            assert wrong_counts() == []
            aggregate.run_to_end()
            assert ConductorTask.objects.filter(pk__in=leaves, ready=True).count() == 6
            assert (states([top, inner]), tree.state) == (["RUNNING"] * 2, "RUNNING")
            if has_ended:
                assert statement > 20
                break
        else:
            pytest.fail("the aggregator did not end by itself")


def test_tasks_that_end_while_their_parent_is_cancelled_are_counted_once() -> None:
    tree = Tree()
    parent = tree.parent()
    leaves = tree.leaves(200, parent)

    def work() -> None:
        try:
            for leaf in leaves[::2]:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "UPDATE orbit_conductortask SET state = 'RUNNING', ready = false"
                        " WHERE id = %s AND state = 'PENDING'",
                        [leaf],
                    )
                    cursor.execute(
                        "UPDATE orbit_conductortask SET state = 'SUCCEEDED'"
                        " WHERE id = %s AND state = 'RUNNING'",
                        [leaf],
                    )
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        cancel(parent)
        while not working.done():
            aggregate.run_aggregate_once()
        working.result()
    aggregate.run_to_end()
    assert wrong_counts() == []
    assert set(states(leaves)) <= {"SUCCEEDED", "CANCELLED"}
    assert (states([parent]), tree.state) == (["CANCELLED"], "CANCELLED")
