"""Workers are killed during a bulk requeue: each letter gets one job, which is delivered."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from governance.models import OperationRun, OperationRunItem
from orbit.dispatch import bulk
from orbit.dispatch.bulk import LetterFilter
from orbit.models import DeadLetterDispatch
from orbit_site.processes.postgres import Server
from tests.support import processes
from tests.support.clusters import cluster, endpoint
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until
from tests.support.receiver import OK, Receiver

pytestmark = pytest.mark.processes
LETTERS, KILLS = 100, 3


@pytest.mark.slow
def test_kills_during_a_bulk_requeue_leave_one_job_for_each_letter(
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
        letter_ids = create_dead_letters(LETTERS, retries=20)
        run_id = bulk.requeue(LetterFilter(), actor=SYSTEM, reason="it is back", rate=25).run_id

        def run() -> OperationRun:
            return OperationRun.objects.get(pk=run_id)

        def progress_beyond(count: int) -> int | None:
            processed = run().progress["processed"]
            return processed if processed > count else None

        kills, processed = 0, 0
        while run().status != "completed" and kills < KILLS:
            # Kill soon after each step forward, while the run is at work.
            processed = until(partial(progress_beyond, processed), "the run did not go on")
            for pid in running.of("worker"):
                processes.kill(pid)
            kills += 1
            time.sleep(0.3)
        until(lambda: run().status == "completed", "the run did not end")
        until(
            lambda: (
                rows(
                    "SELECT count(*) FROM orbit_dispatchjob"
                    " WHERE requeue_of_id IS NOT NULL AND status = 'delivered'"
                )
                == [(LETTERS,)]
            ),
            "not all requeued jobs were delivered",
        )
        keys = [request.headers["idempotency-key"] for request in sink.requests]
    assert kills == KILLS
    assert (run().outcome, run().summary_counts["succeeded"]) == ("succeeded", LETTERS)
    assert rows(
        "SELECT count(*), count(DISTINCT requeue_of_id) FROM orbit_dispatchjob"
        " WHERE requeue_of_id IS NOT NULL"
    ) == [(LETTERS, LETTERS)]
    assert len(set(keys)) == LETTERS
    assert (
        DeadLetterDispatch.objects.filter(pk__in=letter_ids, status="requeued").count() == LETTERS
    )
    assert OperationRunItem.objects.filter(outcome="succeeded").count() == LETTERS
