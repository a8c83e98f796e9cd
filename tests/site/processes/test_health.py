"""`manage.py health` on real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

from orbit.cycles import maintenance
from orbit_site.processes import health
from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.clusters import cluster
from tests.support.web_server import start

pytestmark = pytest.mark.processes


def ask(role: str, **more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", "health", role],
        cwd=database.PROJECT,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "listens", [{}, {"ORBIT_BIND": "0.0.0.0", "ORBIT_ALLOWED_HOSTS": "*,.example.com"}]
)
def test_a_web_server_is_healthy_while_it_answers(
    variables: dict[str, str],
    listens: dict[str, str],
) -> None:
    here = {**variables, **listens}
    assert ask("web", **here)[0] == 1
    process = start(here)
    try:
        while (found := ask("web", **here))[0] and "doesn't answer yet" in found[1]:
            assert process.poll() is None
            time.sleep(0.3)
        assert found == (0, "")
        # Without a cluster the web server is healthy, the installation isn't.
        code, output = ask("up", **here)
        assert (code, "/ready answers 503" in output) == (1, True)
    finally:
        processes.kill_group(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)


def test_a_cluster_is_healthy_while_one_on_this_host_has_heartbeats(
    committed: str, server: Server, tmp_path: Path
) -> None:
    place = database.environment(server, committed)
    assert ask("cluster", **place)[1].startswith("orbit: there is no cluster on host")
    with cluster(server, committed, tmp_path) as running:
        running.ready()
        assert ask("cluster", **place) == (0, "")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orbit_clusternode SET host = 'another'")
        assert ask("cluster", **place)[0] == 1
        running.stop()
        running.code()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orbit_clusternode "
            "(id, host, pid, release, workers, paused, draining, started_at, seen_at) "
            "SELECT gen_random_uuid(), %s, 1, '0', 1, false, false, now(), now() - interval '16 s'",
            [health.socket.gethostname()],
        )
    code, output = ask("cluster", **place)
    assert (code, "has been silent for 1" in output) == (1, True)


def test_an_unreachable_database_is_one_line(server: Server) -> None:
    code, output = ask("cluster", DATABASE_URL="postgresql://ann@127.0.0.1:1/orbit")
    assert (
        code,
        output.startswith("orbit: can't query the database"),
        len(output.splitlines()),
    ) == (1, True, 1)


def test_the_limit_of_silence_is_that_of_the_console() -> None:
    assert maintenance.SILENT_AFTER.total_seconds() == health.SILENT_SECONDS


def test_an_invalid_setting_or_role_is_exit_code_2() -> None:
    assert ask("web", PORT="http")[0] == 2
    assert ask("database")[0] == 2
