"""A bulk requeue whose workers are killed in mid-run: each letter gets one job, and each job is delivered."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from governance.access.actors import SYSTEM
from governance.models import OperationRun, OperationRunItem
from orbit.dispatch import bulk
from orbit.dispatch.bulk import LetterFilter
from orbit.models import DeadLetterDispatch
from orbit_site.processes.postgres import Server
from tests.support.clusters import cluster, endpoint
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes
LETTERS, KILLS = 100, 3


@pytest.mark.slow
def test_whoever_is_killed_in_mid_run_each_letter_gets_one_job(
    server: Server, committed: str, tmp_path: Path, settings: Any
) -> None:
    with (
        Receiver(OK) as sink,
        cluster(
            server, committed, tmp_path, ORBIT_LEASE_SECONDS="2", **endpoint(sink.url)
        ) as running,
    ):
        configure_endpoints(settings, default_endpoint=sink.url)
        running.ready()
        found = create_dead_letters(LETTERS, retries=20)
        run_id = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="it is back", rate=25).run_id

        def run() -> OperationRun:
            return OperationRun.objects.get(pk=run_id)

        killed, seen = 0, 0
        while run().status != "completed" and killed < KILLS:
            # While it is at work: soon after each step forward.
            seen = until(
                lambda before=seen: (
                    run().progress["processed"] > before and run().progress["processed"]
                ),
                "the run doesn't go on",
            )
            for pid in running.of("worker"):
                if psutil.pid_exists(pid):
                    os.kill(pid, signal.SIGKILL)
            killed += 1
            time.sleep(0.3)
        until(lambda: run().status == "completed", "the run didn't end")
        until(
            lambda: (
                rows(
                    "SELECT count(*) FROM orbit_dispatchjob WHERE requeue_of_id IS NOT NULL AND status = 'delivered'"
                )
                == [(LETTERS,)]
            ),
            "not all were delivered",
        )
        keys = [request.headers["idempotency-key"] for request in sink.requests]
    assert killed == KILLS
    assert (run().outcome, run().summary_counts["succeeded"]) == ("succeeded", LETTERS)
    assert rows(
        "SELECT count(*), count(DISTINCT requeue_of_id) FROM orbit_dispatchjob WHERE requeue_of_id IS NOT NULL"
    ) == [(LETTERS, LETTERS)]
    assert len(set(keys)) == LETTERS
    assert DeadLetterDispatch.objects.filter(pk__in=found, status="requeued").count() == LETTERS
    assert OperationRunItem.objects.filter(outcome="succeeded").count() == LETTERS
