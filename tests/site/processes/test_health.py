"""`manage.py health`: exit code 0 for a process that is well, 1 for one that isn't, asked of real ones."""

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
from tests.support import database
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
        timeout=30,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "listens", [{}, {"ORBIT_BIND": "0.0.0.0", "ORBIT_ALLOWED_HOSTS": "*,.example.com"}]
)
def test_a_web_server_is_well_while_it_answers(
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
        # Without a cluster the web server is well, the installation isn't.
        code, said = ask("up", **here)
        assert (code, "/ready answers 503" in said) == (1, True)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


def test_a_cluster_is_well_while_one_of_this_host_gives_signs_of_life(
    committed: str, server: Server, tmp_path: Path
) -> None:
    place = database.environment(server, committed)
    assert ask("cluster", **place)[1].startswith("orbit: no cluster of the host")
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
            "INSERT INTO orbit_clusternode (id, host, pid, release, workers, paused, draining, started_at, seen_at) "
            "SELECT gen_random_uuid(), %s, 1, '0', 1, false, false, now(), now() - interval '16 s'",
            [health.socket.gethostname()],
        )
    code, said = ask("cluster", **place)
    assert (code, "was silent for 1" in said) == (1, True)


def test_a_database_that_is_away_is_one_line(server: Server) -> None:
    code, said = ask("cluster", DATABASE_URL="postgresql://nobody@127.0.0.1:1/orbit")
    assert (
        code,
        said.startswith("orbit: the database can't be asked"),
        len(said.splitlines()),
    ) == (1, True, 1)


def test_silence_counts_here_as_on_the_console() -> None:
    assert maintenance.SILENT_AFTER.total_seconds() == health.SILENT_SECONDS


def test_a_setting_that_cannot_be_read_is_exit_code_2_and_another_role_too() -> None:
    assert ask("web", PORT="http")[0] == 2
    assert ask("database")[0] == 2
