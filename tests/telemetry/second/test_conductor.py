"""The conductor with telemetry's own database: events, projection and `telemetry reconcile`."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from orbit.conductor import fenced, leases
from orbit.conductor.fenced import Held
from orbit.models import ConductorRun, ConductorTask
from orbit_site.processes.postgres import Server
from telemetry import forward
from telemetry.consumers import projection
from telemetry.ingest import batch
from telemetry.models import TaskProjection
from tests.support import conductor, database, processes, telemetry
from tests.support.clusters import cluster
from tests.support.outbox import waiting
from tests.support.polling import until

pytestmark = pytest.mark.processes
KINDS = ("missing_in_projection", "missing_in_tasks", "status_mismatch")


def work_until_it_ended(run_id: str) -> None:
    def ended() -> bool:
        held = [Held(task.id, task.lease_token) for task in leases.claim(SYSTEM, "w", 50)]
        if held:
            fenced.complete(held, [None] * len(held), actor=SYSTEM)
        return ConductorRun.objects.get(pk=run_id).finished_at is not None

    until(ended, "the run doesn't end", seconds=120)


def reconcile(server: Server, name: str, **variables: str) -> tuple[int, list[Any], str]:
    """Run the command; return its exit code, what it found of each kind, and its errors."""
    done = subprocess.run(
        [sys.executable, "manage.py", "telemetry", "reconcile", "--json"],
        cwd=database.PROJECT,
        env={**os.environ, **database.environment(server, name), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = json.loads(done.stdout) if done.stdout else {}
    return done.returncode, [found[kind]["ids"] for kind in KINDS if found], done.stderr


def test_events_of_tasks_arrive_once_and_are_projected_while_the_cluster_is_killed(
    server: Server, committed: str, tmp_path: Path
) -> None:
    moments = random.Random(14)
    run = conductor.run(
        conductor.parent(150), conductor.parent(2, "Q", input={"fanout": 2, "child": {"fanout": 3}})
    )
    with cluster(server, committed, tmp_path, ORBIT_WORKERS="1") as running:
        for _ in range(3):
            victims = until(lambda: running.of("maintenance"), "no maintenance process runs")
            time.sleep(moments.uniform(0, 0.4))
            for pid in victims:
                processes.kill(pid)
        work_until_it_ended(run.id)
        until(lambda: waiting() == 0, "the outbox isn't emptied", seconds=120)
    assert ConductorRun.objects.get().state == "SUCCEEDED"
    tasks = list(ConductorTask.objects.order_by("id").values_list("id", flat=True))
    assert len(tasks) == 1 + 150 + 1 + 2 + 6
    counts = telemetry.rows(
        "SELECT task_id, count(*) FILTER (WHERE name = 'task_start'),"
        " count(*) FILTER (WHERE name = 'task_end'), count(*)"
        " FROM telemetry_telemetryevent WHERE session_id = %s GROUP BY 1 ORDER BY 1",
        run.id,
    )
    assert counts == [(task, 1, 1, 2) for task in tasks]
    assert dict(TaskProjection.objects.values_list("task_id", "status")) == dict.fromkeys(
        tasks, "succeeded"
    )


def test_the_command_mends_the_three_kinds_of_drift_and_exits_with_0(
    server: Server, committed: str
) -> None:
    run = conductor.run(*conductor.leaves(4))
    lost, wrong, running, _ = [task.id for task in run.tasks]
    claimed = leases.claim(SYSTEM, "w", 3)
    ended = [Held(task.id, task.lease_token) for task in claimed[:2]]
    fenced.complete(ended, [None, None], actor=SYSTEM)
    # Nothing is missing whose events only wait.
    assert reconcile(server, committed)[:2] == (0, [[], [], []])
    while forward.forward():
        pass
    with projection.updating():
        TaskProjection.objects.filter(pk=lost).delete()
        TaskProjection.objects.filter(pk=wrong).update(status="running")
    batch.store([batch.event("task_end", task_id="script", session_id="s")])
    assert reconcile(server, committed)[:2] == (0, [[lost], ["script"], [wrong]])
    assert dict(TaskProjection.objects.values_list("task_id", "status")) == {
        lost: "succeeded",
        wrong: "succeeded",
        running: "running",
        "script": "orphaned",
    }
    assert reconcile(server, committed)[:2] == (0, [[], [], []])


def test_the_command_says_that_the_second_database_is_away(server: Server, committed: str) -> None:
    url = server.url("orbit_owner", "no_such_database")
    code, found, errors = reconcile(server, committed, ORBIT_TELEMETRY_DATABASE_URL=url)
    assert (code > 0, found) == (True, [])
    assert "Traceback" not in errors
    assert "no_such_database" in errors
