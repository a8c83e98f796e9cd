"""Folders, databases and variables for tests that start real processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orbit_site.processes.postgres import Server
from tests.support import database, project
from tests.support.ports import free_port


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any account may enter; its processes are stopped at the end."""
    with project.open_folder() as path:
        yield path


@pytest.fixture(scope="module")
def web_database(server: Server) -> Iterator[dict[str, str]]:
    """A migrated database that a module's web processes share."""
    name = f"orbit_web_{os.getpid()}_{free_port()}"
    database.clone(server, name)
    yield {**os.environ, **database.environment(server, name), "ORBIT_DRAIN_SECONDS": "100"}
    database.drop(server, name)


@pytest.fixture
def variables(web_database: dict[str, str]) -> dict[str, str]:
    """The variables of a web process."""
    return {**web_database, "PORT": str(free_port())}
