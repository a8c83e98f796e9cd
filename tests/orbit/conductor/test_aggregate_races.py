"""Aggregators at once, and killed at each statement: nothing is counted twice, or not at all."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from orbit.conductor import aggregate
from tests.support.conductor_tree import Tree, cancel, end, states, wrong_counts
from tests.support.project import PROJECT

pytestmark = pytest.mark.usefixtures("committed")

# Kills itself after its statement number N; ends by itself if it has fewer.
KILLED = """
import os, signal, sys
import django
django.setup()
from django.conf import settings
from django.db import connection
from orbit.conductor import aggregate
connection.settings_dict.update({"NAME": sys.argv[2], "HOST": sys.argv[3], "PORT": "",
    "USER": "orbit_app", "PASSWORD": ""})
left = int(sys.argv[1])
def count(execute, *arguments):
    global left
    result = execute(*arguments)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
send = aggregate.sql.send
def counted(*arguments, **options):
    return count(lambda: send(*arguments, **options))
aggregate.sql.send = counted
with connection.execute_wrapper(count):
    aggregate.run_to_end()
"""


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
    database = connection.settings_dict
    for statement in range(1, 40):
        tree = Tree()
        good, bad = tree.parent(policy="wait_all"), tree.parent(policy="fail_fast")
        end("SUCCEEDED", tree.leaves(3, good))
        failed, *others = tree.leaves(3, bad)
        end("FAILED", [failed])
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(statement), database["NAME"], database["HOST"]],
            cwd=PROJECT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "orbit_site.settings"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert wrong_counts() == []
        aggregate.run_to_end()
        assert wrong_counts() == []
        assert states([good, bad, *others]) == ["SUCCEEDED", "FAILED", "CANCELLED", "CANCELLED"]
        assert tree.state == "FAILED"
        if ended.returncode == 0:
            assert statement > 8
            return
        assert ended.returncode == -signal.SIGKILL, ended.stderr
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
