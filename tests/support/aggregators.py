"""Aggregators that kill themselves in the middle of their work."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from tests.support.conductor_tree import rows
from tests.support.polling import until
from tests.support.project import PROJECT

# For each number that it reads, a child aggregates, and kills itself after so many statements. It
# prints the child's signal; 0 is an end of its own.
_SCRIPT = """
import os, signal, sys
import django
django.setup()
from django.db import connection
from orbit.conductor import aggregate, retrying
connection.settings_dict.update({"NAME": sys.argv[1], "HOST": sys.argv[2], "PORT": "",
    "USER": "orbit_app", "PASSWORD": ""})
connection.settings_dict["OPTIONS"]["application_name"] = "killed"

retrying.BATCH = int(sys.argv[3])

def aggregate_and_die(left):
    def count(execute, *arguments):
        nonlocal left
        result = execute(*arguments)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    with connection.execute_wrapper(count):
        aggregate.run_to_end()

for line in sys.stdin:
    if (pid := os.fork()) == 0:
        aggregate_and_die(int(line))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""

# Ten children aggregate in small passes. Each is killed at a random moment after its first one.
_AT_RANDOM = """
import os, random, signal, sys, threading
import django
django.setup()
from django.db import connection
from orbit.conductor import aggregate
connection.settings_dict.update({"NAME": sys.argv[1], "HOST": sys.argv[2], "PORT": "",
    "USER": "orbit_app", "PASSWORD": ""})
connection.settings_dict["OPTIONS"]["application_name"] = "killed"
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


def until_sessions_end() -> None:
    """Wait until PostgreSQL has noticed that processes were killed: until then they hold locks."""
    until(
        lambda: (
            not rows(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND application_name = 'killed'"
            )
        ),
        "sessions of killed processes go on",
    )


@contextmanager
def killed_aggregators(*, retry_batch: int = 2_000) -> Iterator[Callable[[int], bool]]:
    """Give a function: aggregate in another process, which dies after so many statements.

    It returns whether the work ended before.
    """
    database = connection.settings_dict
    words = [sys.executable, "-c", _SCRIPT, database["NAME"], database["HOST"], str(retry_batch)]
    with subprocess.Popen(
        words,
        cwd=PROJECT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "orbit_site.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def aggregate_and_die(statements: int) -> bool:
            print(statements, file=stdin, flush=True)
            code = int(stdout.readline())
            assert code in (0, -signal.SIGKILL)
            until_sessions_end()
            return code == 0

        yield aggregate_and_die
        stdin.close()


def kill_ten_aggregators_at_random() -> None:
    """Aggregate in ten processes, each of which is killed at a moment of a fixed seed."""
    database = connection.settings_dict
    done = subprocess.run(
        [sys.executable, "-c", _AT_RANDOM, database["NAME"], database["HOST"]],
        cwd=PROJECT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "orbit_site.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    until_sessions_end()
