"""The test databases: one per test process, and one for each test that commits."""

import gc
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connections
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from orbit import tasks
from orbit.cycles.runner import WorkerProcess
from orbit_site.processes import postgres
from orbit_site.processes.postgres import Server
from tests.support import database, idle_transactions
from tests.support.idle_transactions import Watch
from tests.support.postgres_proxy import PostgresProxy
from tests.support.reuse import Pool

# Without compiled code a process compiles Django at its start, for longer than most tests take.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts a job in the background with SIGINT ignored, and processes of tests inherit it.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # `nohup` ignores this one.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Real hashing takes a quarter of a second, and tests create hundreds of users. Processes that
    # a test starts use the real hasher.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Each client makes the middleware anew. Else it would read the whole list of static files.
    settings.WHITENOISE_AUTOREFRESH = True
    # The same examples each time, however slow the machine.
    hypothesis_settings.register_profile(
        "orbit", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )
    hypothesis_settings.load_profile("orbit")
    # A test's own transaction idles while the test works, on a busy machine for long.
    for alias in settings.DATABASES:
        options = settings.DATABASES[alias]["OPTIONS"]
        options["options"] += " -c idle_in_transaction_session_timeout=60s"
    # Only the controlling process, before xdist starts workers.
    if not hasattr(config, "workerinput"):
        database.template(database.start_test_server())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Processes get whole files, in this order. Those of slow tests come first, so that none of them
    # runs alone at the end.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if not database.is_separate():
        return
    for item in items:
        if marker := item.get_closest_marker("django_db"):
            both = pytest.mark.django_db(**{**marker.kwargs, "databases": "__all__"})
            item.add_marker(both, append=False)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    # What this creates stays: to look for garbage in it takes a tenth of its time.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        database.stop_test_server()


@pytest.fixture(scope="session")
def server() -> Server:
    """The running test server."""
    return postgres.locate(database.BASE)


def _point(server: Server, name: str) -> None:
    """Point Django to the database ``name``, and to telemetry's if the run has two."""
    _point_one(server, "default", name, "orbit_app")
    if database.is_separate():
        _point_one(server, "telemetry", database.second(name), "orbit_owner")


def _point_one(server: Server, alias: str, name: str, user: str) -> None:
    connections[alias].close()
    connections[alias].settings_dict.update(
        {"NAME": name, "USER": user, "PASSWORD": "", "HOST": server.host, "PORT": ""}
    )
    settings.DATABASES[alias]["NAME"] = name
    settings.DATABASES[alias]["HOST"] = server.host
    settings.DATABASES[alias]["USER"] = user
    # Threads connect by the settings.
    connections.settings[alias].update(connections[alias].settings_dict)


@pytest.fixture(scope="session")
def django_db_setup(server: Server, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """Use a copy of the template instead of pytest-django's database."""
    name = f"orbit_test_{os.getpid()}_{uuid.uuid4().hex[:6]}"
    database.clone(server, name)
    _point(server, name)
    yield
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        connections.close_all()
    database.drop(server, name)


@pytest.fixture(scope="session")
def pools(server: Server) -> Iterator[list[Pool]]:
    """The sources of ``committed``: of the main database, and of telemetry's own."""
    template = database.template(server)
    templates = [template, database.second(template)] if database.is_separate() else [template]
    pools = [Pool(server, name) for name in templates]
    yield pools
    for pool in pools:
        pool.close()


@pytest.fixture
def committed(
    server: Server,
    pools: list[Pool],
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
) -> Iterator[str]:
    """The name of a database for this test alone: for threads, processes and crashes."""
    with own_database(server, pools, django_db_blocker) as name:
        yield name


@pytest.fixture(scope="module")
def committed_by_all(
    server: Server,
    pools: list[Pool],
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
) -> Iterator[str]:
    """The name of a database that the tests of a file share. They only read it."""
    with own_database(server, pools, django_db_blocker) as name:
        yield name


@contextmanager
def own_database(
    server: Server, pools: list[Pool], django_db_blocker: pytest.FixtureRequest
) -> Iterator[str]:
    """Point Django to a database of ``pools``; yield its name."""
    before = str(connections["default"].settings_dict["NAME"])
    name = f"orbit_own_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    names = list(zip(pools, (name, database.second(name)), strict=False))
    for pool, each in names:
        pool.take(each)
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        _point(server, name)
        tasks.worker = WorkerProcess()
        try:
            yield name
        finally:
            # Its slots keep connections to this database.
            tasks.worker = None
            _point(server, before)
            for pool, each in names:
                pool.give(each)


@pytest.fixture(scope="session")
def transactions() -> Iterator[Watch]:
    """The watch over the transactions of this process."""
    with idle_transactions.watched() as watch:
        yield watch


@pytest.fixture(autouse=True)
def no_transaction_idles(transactions: Watch) -> Iterator[None]:
    """Fail a test in which a transaction works between its statements."""
    transactions.findings.clear()
    yield
    assert not transactions.findings


@pytest.fixture
def proxy(committed: str, server: Server) -> Iterator[PostgresProxy]:
    """A proxy that can lose answers, through which this process now connects to ``committed``."""
    with PostgresProxy(server.host) as proxy:
        connections["default"].close()
        for options in (connections["default"].settings_dict, connections.settings["default"]):
            options["HOST"] = proxy.host
        yield proxy
        connections["default"].close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--examples",
        type=int,
        default=2,
        help="requests of the fuzzer to each operation, of each role, good and bad",
    )
    parser.addoption("--rows", type=int, default=10_000, help="cycles of the large database of S23")
