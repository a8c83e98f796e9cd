"""Prunes that are killed, and prunes of two clusters under load."""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from governance.access.actors import SYSTEM
from governance.audit import verify
from governance.models import AuditTrailEntry, OperationRun
from orbit.conductor import create, fenced, leases
from orbit.conductor.fenced import Held
from orbit.models import ConductorRun, CycleRun, ValueLedgerEntry
from orbit.retention.run import TYPE
from orbit_site.processes.postgres import Server
from tests.support import database, old_rows, processes
from tests.support.clusters import cluster, endpoint
from tests.support.pipeline import configure_endpoints, configure_profiles, rows, start_cycle
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = [pytest.mark.processes, pytest.mark.slow]

CYCLES, CHILDREN, KILLS = 24, 12, 2
#: ``manage.py prune`` with small batches, and one batch in a slice.
PRUNE = """
import django
django.setup()
from django.core.management import call_command
from orbit.retention import cycles, run, runs
cycles.CYCLES, runs.TASKS, run.SLICE_SECONDS, run.PAUSE_SECONDS = 2, 3, 0.001, 0.05
call_command("prune")
"""


def start_prune(server: Server, name: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        **database.environment(server, name),
        "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PRUNE],
        cwd=database.PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def deleted() -> int:
    run = OperationRun.objects.filter(type=TYPE).first()
    return run.progress.get("deleted", 0) if run else 0


def records() -> Counter[str]:
    """Return what all prunes deleted, by their records."""
    total: Counter[str] = Counter()
    for run in OperationRun.objects.filter(type=TYPE, status="completed"):
        total.update(run.progress["record"]["deleted"])
    return total


def test_a_prune_that_is_killed_is_finished_by_the_next(
    server: Server, committed: str, settings: Any
) -> None:
    configure_endpoints(settings, **{"default-endpoint": "http://127.0.0.1:9/"})
    old_rows.old_cycles(CYCLES)
    old_rows.old_run(children=CHILDREN)
    before = 0
    for _ in range(KILLS):
        process = start_prune(server, committed)
        try:
            until(lambda before=before: deleted() > before, "the prune doesn't go on")
        finally:
            processes.kill(process.pid, signal.SIGKILL)
            process.wait()
        before = deleted()
        # Families and runs are whole, or gone.
        assert rows(
            "SELECT count(*) FROM orbit_cyclerun c WHERE NOT EXISTS"
            " (SELECT 1 FROM orbit_deadletterdispatch d WHERE d.cycle_id = c.id)"
        ) == [(0,)]
    call_command("prune")
    run = OperationRun.objects.get(type=TYPE)
    assert (run.outcome, run.faults) == ("succeeded", 0)
    assert {
        name: number for name, number in run.progress["record"]["deleted"].items() if number
    } == {
        **dict.fromkeys(("cycles", "transformations", "normalization_batches"), CYCLES),
        **dict.fromkeys(("normalization_items", "dispatch_jobs", "dead_letters"), CYCLES),
        "initiations": 1,
        "conductor_runs": 1,
        "conductor_parents": 1,
        "conductor_tasks": CHILDREN + 1,
    }
    after = old_rows.counts()
    assert {after[table] for table in old_rows.OWN_TABLES} == {0}
    assert not ConductorRun.objects.exists()
    assert AuditTrailEntry.objects.filter(action="retention.pruned").count() == 1
    assert verify.walk()[0] >= 1


@pytest.mark.timeout(240)
def test_clusters_that_prune_under_load_delete_each_row_once_and_lose_nothing(
    server: Server, committed: str, tmp_path: Path, settings: Any
) -> None:
    names = [f"r{number}" for number in range(4)]
    configure_profiles(**{name: {"namespace": f"n-{name}"} for name in names})
    with Receiver(OK) as sink, ExitStack() as stack:
        configure_endpoints(settings, **{"default-endpoint": sink.url})
        old_rows.old_cycles(CYCLES)
        for _ in range(4):
            old_rows.old_run(children=5)
        ledger = ValueLedgerEntry.objects.count()
        for letter in "ab":
            folder = tmp_path / letter
            folder.mkdir()
            clustered = cluster(server, committed, folder, ORBIT_WORKERS="1", **endpoint(sink.url))
            stack.enter_context(clustered)
        new_cycles = [start_cycle(name) for name in names]
        made = create.create(
            {"name": "new", "tasks": [{"name": f"t{number}"} for number in range(20)]},
            actor=SYSTEM,
        )

        def work() -> bool:
            claimed = leases.claim(SYSTEM, "w", 3, 30, made.id)
            held = [Held(task.id, task.lease_token) for task in claimed]
            assert not held or all(
                written.error is None
                for written in fenced.complete(held, [None] * len(held), actor=SYSTEM)
            )
            return ConductorRun.objects.get(pk=made.id).state == "SUCCEEDED"

        until(work, "the new run did not end")
        until(
            lambda: (
                CycleRun.objects.filter(
                    pk__in=new_cycles, status="success", next_due_at=None
                ).count()
                == len(names)
            ),
            "the new cycles did not end",
        )
        until(lambda: records()["cycles"] == CYCLES, "the old cycles are still there")
        until(lambda: records()["conductor_tasks"] == 24, "the old runs are still there")
        until(
            lambda: not OperationRun.objects.filter(type=TYPE).exclude(status="completed"),
            "the prune did not end",
        )
    keys = Counter(request.headers["idempotency-key"] for request in sink.requests)
    jobs = rows("SELECT count(*) FROM orbit_dispatchjob WHERE status = 'delivered'")
    assert (len(keys), set(keys.values())) == (jobs[0][0], {1})
    assert CycleRun.objects.count() == len(names)
    assert ConductorRun.objects.count() == 1
    assert ValueLedgerEntry.objects.count() > ledger
    assert set(OperationRun.objects.filter(type=TYPE).values_list("faults", flat=True)) == {0}
    assert verify.walk()[0] >= 1
