"""The night to look at by hand leaves no process behind."""

import os
import signal
import subprocess
import sys

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.polling import until

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_night_that_is_terminated_twice_ends_its_server_and_drops_its_database(
    server: Server,
) -> None:
    night = subprocess.Popen(
        [sys.executable, "-m", "tests.support.bad_night"],
        cwd=database.PROJECT,
        env={**os.environ, "ORBIT_ENV": "test"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert night.stdout is not None
        assert any(line.startswith("DATABASE_URL=") for line in night.stdout)
        started = processes.children(night.pid, recursive=True)
        assert started

        def has_ended() -> bool:
            night.send_signal(signal.SIGTERM)  # also while it stops its web server
            return night.poll() is not None

        until(has_ended, "the night doesn't end", seconds=300)
        assert night.returncode == 0
        assert not [process for process in started if processes.lives(process)]
        with psycopg.connect(server.url("orbit_owner", "postgres")) as owner:
            name = f"orbit_night_{night.pid}"
            left = owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            assert left.fetchone() is None
    finally:
        processes.kill_group(night.pid, signal.SIGKILL)
        night.communicate()
