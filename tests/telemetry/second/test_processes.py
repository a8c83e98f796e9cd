"""Real processes: killed while they forward, and a second server that stops and starts."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from governance.access.actors import SYSTEM
from orbit.cycles import trigger
from orbit.models import CycleRun
from orbit.states import Trigger
from orbit_site.processes import postgres
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.clusters import cluster, endpoint
from tests.support.outbox import counters, fill, forwarded, keys, waiting
from tests.support.polling import until
from tests.support.receiver import Receiver

pytestmark = pytest.mark.processes
COUNTS = (
    "SELECT run_id, count(*) FILTER (WHERE name = 'execution_started'),"
    " count(*) FILTER (WHERE name = 'delivery_confirmed'), count(*), count(DISTINCT id)"
    " FROM telemetry_telemetryevent WHERE run_id IS NOT NULL GROUP BY 1"
)


def test_kills_at_any_moment_of_forwarding_lose_and_double_nothing(
    server: Server, committed: str, tmp_path: Path
) -> None:
    moments = random.Random(12)
    fill(12_000)
    expected = keys()
    with cluster(server, committed, tmp_path, ORBIT_WORKERS="1") as running:
        kills = 0
        while kills < 6 and waiting():
            victims = until(lambda: running.of("maintenance"), "no maintenance process runs")
            time.sleep(moments.uniform(0, 0.4))
            for pid in victims:
                processes.kill(pid)
                kills += 1
        until(lambda: waiting() == 0, "the outbox isn't emptied", seconds=120)
    assert kills >= 2
    assert forwarded() == expected
    assert counters() == (12_000, 0)


def start_cycle() -> CycleRun:
    return CycleRun.objects.get(
        pk=trigger.start(namespace="default", source=Trigger.COMMAND, actor=SYSTEM).cycle_id
    )


def run_cycles(count: int) -> list[CycleRun]:
    cycles = []
    for _ in range(count):
        cycle = start_cycle()

        def ended(cycle: CycleRun = cycle) -> bool:
            cycle.refresh_from_db()
            return cycle.finished_at is not None

        until(ended, "a cycle doesn't end")
        assert cycle.status == "success"
        cycles.append(cycle)
    return cycles


@contextmanager
def second_server(folder: Path) -> Iterator[Server]:
    """A server of telemetry's own."""
    settings = {**postgres.SETTINGS, **database.SETTINGS}
    with postgres.held(folder, settings=settings, superuser=True) as running:
        yield running


@pytest.mark.slow
def test_a_second_server_that_stops_and_starts_again_stops_no_cycle_and_misses_no_event(
    server: Server, committed: str, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    with second_server(folder) as second:
        url = second.url("orbit_owner", "orbit")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            check=True,
            cwd=database.PROJECT,
            env={
                **os.environ,
                **database.environment(server, committed),
                "ORBIT_TELEMETRY_DATABASE_URL": url,
            },
        )
    with (
        Receiver() as sink,
        cluster(
            server,
            committed,
            tmp_path,
            ORBIT_TELEMETRY_DATABASE_URL=url,
            **endpoint(sink.url),
        ) as running,
    ):
        # It starts without the second database.
        running.ready()
        cycles = run_cycles(2)
        before = set(running.children())
        assert waiting() > 0
        with second_server(folder) as second:
            until(lambda: waiting() == 0, "nothing is forwarded")
            cycles += run_cycles(2)
            # It ends without a goodbye, as in a power failure.
            for child in processes.family(processes.postmaster(second).pid):
                processes.kill(child.pid)
            cycles += run_cycles(2)
            until(waiting, "nothing waits")
        with second_server(folder) as second:
            until(lambda: waiting() == 0, "the outbox isn't emptied")
            with psycopg.connect(second.url(SUPERUSER, "orbit")) as session:
                rows = session.execute(COUNTS).fetchall()
        assert set(running.children()) == before
        assert sorted((str(run_id), *rest) for run_id, *rest in rows) == sorted(
            (str(cycle.pk), 1, 3, rows[0][3], rows[0][3]) for cycle in cycles
        )
        assert counters()[1] == 0
