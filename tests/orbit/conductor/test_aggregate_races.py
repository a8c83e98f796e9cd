"""Aggregators at once, and killed at each statement: nothing is counted twice, or not at all."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from orbit.conductor import aggregate
from orbit_site.processes.postgres import Server
from telemetry.models import OutboxEvent
from tests.support import database
from tests.support.conductor_tree import Tree, cancel, end, states, wrong_counts
from tests.support.project import PROJECT

pytestmark = pytest.mark.usefixtures("committed")

# For each number that it reads, a child aggregates, and kills itself after so many statements. It
# prints the child's signal; 0 is an end of its own.
KILLED = """
import os, signal, sys
import django
django.setup()
from django.db import connection
from orbit.conductor import aggregate
connection.settings_dict.update({"NAME": sys.argv[1], "HOST": sys.argv[2], "PORT": "",
    "USER": "orbit_app", "PASSWORD": ""})

def aggregate_and_die(left):
    def count(execute, *arguments):
        nonlocal left
        result = execute(*arguments)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    send = aggregate.sql.send
    aggregate.sql.send = lambda *values, **options: count(lambda: send(*values, **options))
    with connection.execute_wrapper(count):
        aggregate.run_to_end()

for line in sys.stdin:
    if (pid := os.fork()) == 0:
        aggregate_and_die(int(line))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""

# Ten children aggregate in small passes. Each is killed at a random moment after its first one.
KILLED_AT_RANDOM = """
import os, random, signal, threading
import django
django.setup()
from orbit.conductor import aggregate
aggregate.RUNS, aggregate.TALLIES = 2, 2

def work(number):
    while not aggregate.run_aggregate_once(passes=1).did_something and aggregate.has_work():
        pass
    seconds = random.Random(number).uniform(0, 0.3)
    threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGKILL]).start()
    while True:
        aggregate.run_aggregate_once(passes=1)

pids = []
for number in range(10):
    pid = os.fork()
    if not pid:
        try:
            work(number)
        finally:
            os._exit(1)
    pids.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in pids] == [signal.SIGKILL] * 10
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
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, database["NAME"], database["HOST"]],
        cwd=PROJECT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "orbit_site.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as killed:
        assert killed.stdin is not None
        assert killed.stdout is not None
        for statement in range(1, 60):
            tree = Tree()
            good, bad = tree.parent(policy="wait_all"), tree.parent(policy="fail_fast")
            end("SUCCEEDED", tree.leaves(3, good))
            failed, *others = tree.leaves(3, bad)
            end("FAILED", [failed])
            print(statement, file=killed.stdin, flush=True)
            code = int(killed.stdout.readline())
            assert wrong_counts() == []
            aggregate.run_to_end()
            assert wrong_counts() == []
            assert states([good, bad, *others]) == ["SUCCEEDED", "FAILED", "CANCELLED", "CANCELLED"]
            assert tree.state == "FAILED"
            if code == 0:
                assert statement > 8
                break
            assert code == -signal.SIGKILL
        else:
            pytest.fail("the aggregator did not end by itself")
        killed.stdin.close()


def test_ten_aggregators_killed_at_random_count_exactly_and_end_each_parent_once(
    server: Server, committed: str
) -> None:
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
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_RANDOM],
        cwd=PROJECT,
        env={
            **os.environ,
            **database.environment(server, committed),
            "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert wrong_counts() == []
    aggregate.run_to_end()  # a killed one's statement may still run: its tallies come later
    assert wrong_counts() == []
    assert [states(parents) for parents in middles] == [["SUCCEEDED", "SUCCEEDED", "FAILED"]] * 3
    assert (states(tops), {tree.state for tree in trees}) == (["FAILED"] * 3, {"FAILED"})
    ended = OutboxEvent.objects.filter(name="task_end").values_list("task_id", flat=True)
    parents = sorted([*tops, *(parent for group in middles for parent in group)])
    assert sorted(ended) == parents


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
