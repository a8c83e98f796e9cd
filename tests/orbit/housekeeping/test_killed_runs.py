"""A process is killed at the start of a periodic operation run: the run goes on, and its record is
true."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from governance.models import OperationRun, PeriodicWork
from governance.operations import ledger, periodic, slices
from orbit import queue, tasks
from orbit.housekeeping import adapter_runs, prune_queue
from orbit_site.processes.postgres import Server
from tests.support import database, utc_day
from tests.support.project import PROJECT

# A first process: it starts the run, and kills itself at one of its first moments.
KILLED = """
import os, signal, sys
import django
django.setup()
from governance.operations import ledger, periodic, slices
from governance.operations.periodic import Work
from governance.states import Every
from orbit.housekeeping import prune_queue

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def run_slice(slice_):
    if slice_.run.progress or sys.argv[1] == "in its first slice":
        prune_queue.run_slice(slice_)
        die()
    return ledger.save_progress(slice_.run, {"total": 1}, wait=0.0)

work = Work(prune_queue.TYPE, Every.DAY, run_slice)
if sys.argv[1] == "before the commit":
    periodic.start_due([work], wake=die)
[run] = periodic.start_due([work], wake=lambda run: None)
if sys.argv[1] == "before its first slice":
    die()
for _ in range(2):
    slices.do_next(run, {work.type: run_slice}, wake=lambda *_: None)
"""


@pytest.mark.processes
@pytest.mark.one_database
@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("before the commit", None),
        ("before its first slice", "queued"),
        ("in its first slice", "queued"),
        ("in its second slice", "running"),
    ],
)
def test_a_run_whose_process_was_killed_is_done_once_in_its_interval(
    server: Server, committed: str, moment: str, status: str | None
) -> None:
    utc_day.wait_for_room()
    variables = {**os.environ, **database.environment(server, committed)}
    variables["DJANGO_SETTINGS_MODULE"] = "orbit_site.settings"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, moment],
        cwd=PROJECT,
        env=variables,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    runs = OperationRun.objects.filter(type=prune_queue.TYPE)
    assert list(runs.values_list("status", flat=True)) == [status] * (status is not None)
    # Another cluster starts it, if it isn't there.
    work = periodic.Work(prune_queue.TYPE, periodic.Every.DAY, prune_queue.run_slice)
    started = periodic.start_due([work], wake=lambda run: None)
    assert len(started) == (status is None)
    # Its wake-up is lost, and it was due a while ago.
    runs.update(next_due_at=Now() - timedelta(minutes=1))
    found = reconcile()
    assert found.progress["operations"] == {"found": 1, "mended": 1}
    assert queue.tasks_wait()
    run = runs.get()
    tasks.operate(str(run.pk))
    run.refresh_from_db()
    assert (run.status, run.outcome, run.faults) == ("completed", "succeeded", 0)
    assert run.finished_at is not None
    # What the killed process counted in its last slice never happened.
    assert run.summary_counts == {"total": 0, "processed": 0, "deleted": 0}
    assert periodic.start_due([work], wake=lambda run: None) == []
    assert PeriodicWork.objects.get(pk=prune_queue.TYPE).last_run_id == run.pk


def reconcile() -> OperationRun:
    run, _ = ledger.ensure_workspace_run_with_identity(adapter_runs.TYPE, {}, initiator="orbit")
    slices.do_next(run.pk, {run.type: adapter_runs.run_slice}, wake=lambda *_: None)
    run.refresh_from_db()
    assert run.outcome == "succeeded"
    return run
