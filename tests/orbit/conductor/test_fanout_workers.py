"""Fan-out by many workers at once, and by workers that are killed."""

import os
import subprocess
import sys

import pytest
from django.db import transaction

from orbit.conductor import fanout, reading
from orbit.models import ConductorParent, ConductorRun, ConductorTask
from orbit_site.processes.postgres import Server
from tests.support import conductor, database
from tests.support.threads import at_once

PARENTS, CHILDREN = 5, 2_000
# Each worker is killed at a random moment of its work. They are forked: ten starts of Django would
# take longer than the work.
SCRIPT = """
import os, random, signal, threading
import django
django.setup()
from orbit.conductor import fanout

def work(number):
    while not fanout.run_fanout_once(70).did_something and fanout.is_pending():
        pass
    seconds = random.Random(number).uniform(0, 0.3)
    threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGKILL]).start()
    while True:
        fanout.run_fanout_once(70)

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


@pytest.mark.processes
def test_ten_workers_killed_at_random_leave_exactly_the_children(
    server: Server, committed: str
) -> None:
    created = conductor.run(
        *(conductor.parent(CHILDREN, f"P{number}") for number in range(PARENTS))
    )
    environment = {
        **os.environ,
        **database.environment(server, committed),
        "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=database.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    while fanout.is_pending():  # a killed one's statement may still run
        fanout.run_fanout_once()
    for parent in created.tasks:
        indexes = ConductorTask.objects.filter(parent_id=parent.id).order_by("index")
        assert list(indexes.values_list("index", flat=True)) == list(range(1, CHILDREN + 1))
    assert reading.counts(created.id)["PENDING"] == PARENTS * CHILDREN
    assert set(ConductorParent.objects.values_list("fanned_out", flat=True)) == {CHILDREN}


def test_workers_at_once_make_each_child_once(committed: str) -> None:
    created = conductor.run(
        *(conductor.parent(97, f"P{number}") for number in range(5)), conductor.parent(1)
    )

    def work() -> int:
        made = 0
        while fanout.is_pending():
            made += fanout.run_fanout_once(20).children
        return made

    assert sum(at_once(*[work] * 4)) == 5 * 97 + 1
    assert reading.counts(created.id)["PENDING"] == 5 * 97 + 1
    for parent in ConductorParent.objects.all():
        assert parent.fanned_out == parent.fanout
        assert parent.is_fanned_out


def test_a_pass_does_not_wait_for_a_run_that_a_cancellation_holds(committed: str) -> None:
    """It holds the parent, which the cancellation needs next: they would wait for each other."""
    created = conductor.run(conductor.parent(5))
    with transaction.atomic():
        ConductorRun.objects.select_for_update(no_key=True).get(pk=created.id)
        (done,) = at_once(fanout.run_fanout_once)
    assert done.children == 5
