"""The database of the tests: an embedded server, one migrated template, a copy for each test process, and fresh copies for tests that commit."""

import os
import sys
import uuid
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connections

from orbit.cycles import runner
from orbit_site.processes import postgres
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.reuse import Pool

# A process that may keep no compiled code compiles Django when it starts, for longer than most tests take; they start hundreds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """Start the server in the controlling process, before any worker of xdist asks for it."""
    # Real hashing takes a quarter of a second on purpose, and tests make hundreds of people. Processes that a test starts hash as ever.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if not hasattr(config, "workerinput"):
        database.template(database.start_test_server())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of the server; it stops unless another run uses it."""
    if not hasattr(config, "workerinput"):
        database.stop_test_server()


@pytest.fixture(scope="session")
def server() -> Server:
    """The running test server."""
    return postgres.locate(database.BASE)


def _point(server: Server, name: str) -> None:
    """Have Django use the database ``name`` as the processes do: by the role that owns nothing."""
    connections["default"].close()
    connections["default"].settings_dict.update(
        {"NAME": name, "USER": "orbit_app", "PASSWORD": "", "HOST": server.host, "PORT": ""}
    )
    settings.DATABASES["default"]["NAME"] = name
    settings.DATABASES["default"]["HOST"] = server.host
    settings.DATABASES["default"]["USER"] = "orbit_app"
    # Threads make their connections from the table of settings.
    connections.settings["default"].update(connections["default"].settings_dict)


@pytest.fixture(scope="session")
def django_db_setup(server: Server, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """A copy of the template for this test process, in place of what pytest-django would make."""
    name = f"orbit_test_{os.getpid()}_{uuid.uuid4().hex[:6]}"
    database.clone(server, name)
    _point(server, name)
    yield
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        connections["default"].close()
    database.drop(server, name)


@pytest.fixture(scope="session")
def pool(server: Server) -> Iterator[Pool]:
    """Where ``committed`` has its database from."""
    made = Pool(server)
    yield made
    made.close()


@pytest.fixture
def committed(
    server: Server, pool: Pool, django_db_setup: None, django_db_blocker: pytest.FixtureRequest
) -> Iterator[str]:
    """A database of this test's own, where commits are real; its name. For threads, processes, leases and crashes."""
    before = str(connections["default"].settings_dict["NAME"])
    name = pool.take()
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        _point(server, name)
        try:
            yield name
        finally:
            # Lane threads keep their connections; those of this database go with it.
            runner._slots = None
            _point(server, before)
            pool.give(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--examples``: how many requests the fuzzer sends to each operation."""
    parser.addoption(
        "--examples",
        type=int,
        default=2,
        help="requests of the fuzzer to each operation, of each role, good and bad",
    )
