import os
from collections.abc import Iterator

import pytest

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit_site.processes.postgres import Server
from tests.support import web_server
from tests.support.callers import create_user


@pytest.fixture
def orbit(server: Server, committed: str) -> Iterator[dict[str, str]]:
    """A web process on this test's database; the variables of its workers."""
    with web_server.serving(server, committed) as variables:
        token = tokens.create(create_user(), scopes=["operate"], actor=SYSTEM)[1]
        yield {
            "PATH": os.environ["PATH"],
            "ORBIT_URL": f"http://127.0.0.1:{variables['PORT']}",
            "ORBIT_TOKEN": token,
        }
