import os
import signal
from collections.abc import Iterator

import pytest

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit_site.processes.postgres import Server
from tests.support import database, processes
from tests.support.callers import create_user
from tests.support.ports import free_port
from tests.support.web_server import start, wait_until_it_serves


@pytest.fixture
def orbit(server: Server, committed: str) -> Iterator[dict[str, str]]:
    """A web process on this test's database; the variables of its workers."""
    here = {**os.environ, **database.environment(server, committed), "PORT": str(free_port())}
    process = start(here)
    wait_until_it_serves(here, process)
    token = tokens.create(create_user(), scopes=["operate"], actor=SYSTEM)[1]
    try:
        yield {
            "PATH": os.environ["PATH"],
            "ORBIT_URL": f"http://127.0.0.1:{here['PORT']}",
            "ORBIT_TOKEN": token,
        }
    finally:
        processes.kill_group(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    # The log may tell of a client that was killed in the middle of its request.
    assert process.returncode == 0, output
