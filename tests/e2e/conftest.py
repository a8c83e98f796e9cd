"""Web servers over a database: with a cycle that has dead letters, or with the bad night."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from playwright.sync_api import expect

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit.models import DeadLetterDispatch
from orbit.profiles import reload
from orbit_site.processes.postgres import Server
from tests.support import bad_night, database, processes
from tests.support.bad_night import Night
from tests.support.browser import shared
from tests.support.callers import create_user
from tests.support.clusters import Cluster
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.originals import Original, original
from tests.support.pipeline import configure_endpoints, run_cycle, start_cycle
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.receiver import Receiver, http
from tests.support.reuse import Pool

# A bound for a busy machine: expectations are polled.
expect.set_options(timeout=60_000)
# Django's default: processes check passwords with it.
HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]


@dataclass(frozen=True)
class Site:
    """A running console and the ids of its objects."""

    address: str
    token: str
    cycle: str
    letters: list[str]
    endpoints: str  # the variable

    def api(self, path: str) -> Any:
        request = urllib.request.Request(
            self.address + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="session", autouse=True)
def browser_of_all() -> Iterator[None]:
    """End the browser of this process after its last test."""
    yield
    shared.close()


@pytest.fixture(scope="session")
def original_site(
    server: Server,
    pools: list[Pool],
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Original[Site]]:
    """The database of ``site``."""
    folder = tmp_path_factory.mktemp("site")
    with original(server, pools, django_db_blocker, folder, lambda: _create_site(folder)) as filled:
        yield filled


def _create_site(folder: Path) -> Site:
    write_profiles(
        folder,
        [profile("p1")],
        [run_profile("r1", "p1", "eu", distribution_targets=["aurora", "archive"])],
    )
    with (
        override_settings(PASSWORD_HASHERS=HASHERS, ORBIT_CONFIG_DIR=folder),
        Receiver(http("200 OK", b'{"accepted": true}')) as good,
        Receiver(http("410 Gone", b"<script>alert(1)</script>")) as bad,
    ):
        configure_endpoints(settings, aurora=good.url, archive=bad.url)
        reload.load_at_start()
        cycle = run_cycle(start_cycle("r1", b'{"text": "<script>alert(2)</script>"}'))
        user, _ = create_user("ann", "Operator"), create_user("adm", "Administrator")
        letters = DeadLetterDispatch.objects.order_by("id").values_list("pk", flat=True)
        token = tokens.create(user, scopes=["read"], actor=SYSTEM)[1]
        endpoints = settings.ORBIT_DISPATCH_ENDPOINTS
        return Site("", token, str(cycle.pk), [str(pk) for pk in letters], endpoints)


@pytest.fixture
def site(original_site: Original[Site], settings: Any, tmp_path: Path) -> Iterator[Site]:
    """Serve a database with one cycle of ``eu`` whose deliveries to ``archive`` are dead."""
    folder, made = tmp_path / "config", original_site.made
    settings.ORBIT_CONFIG_DIR = folder
    settings.PASSWORD_HASHERS = HASHERS
    settings.ORBIT_DISPATCH_ENDPOINTS = made.endpoints
    settings.ORBIT_DISPATCH_ALLOWED_HOSTS = ["127.0.0.1"]
    with original_site.copied(folder) as name:
        variables = {
            **database.environment(original_site.server, name),
            "ORBIT_CONFIG_DIR": str(folder),
            "ORBIT_DISPATCH_ENDPOINTS": made.endpoints,
            "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
        }
        with serve(variables) as address:
            yield replace(made, address=address)


@dataclass(frozen=True)
class NightSite:
    """A running console of the bad night."""

    address: str
    night: Night
    variables: dict[str, str]
    database: str

    @contextmanager
    def cluster(self, **variables: str) -> Iterator[Cluster]:
        """Run a cluster; stop it at the end, if it still runs."""
        process = _start("cluster", {**self.variables, **variables})
        cluster = Cluster(process)
        try:
            yield cluster
        finally:
            processes.kill_group(process.pid, signal.SIGKILL)
            process.wait(60)


@pytest.fixture(scope="session")
def original_night(
    server: Server,
    pools: list[Pool],
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Original[Night]]:
    """The database of ``night``, and its receivers."""
    folder = tmp_path_factory.mktemp("night")
    with bad_night.receivers() as sinks:

        def create() -> Night:
            with override_settings(PASSWORD_HASHERS=HASHERS):
                return bad_night.create(settings, folder, sinks)

        with original(server, pools, django_db_blocker, folder, create) as filled:
            yield filled


@pytest.fixture
def night(original_night: Original[Night], settings: Any, tmp_path: Path) -> Iterator[NightSite]:
    """Serve the bad night. No cluster runs."""
    settings.PASSWORD_HASHERS = HASHERS
    with _serve_night(original_night, settings, tmp_path / "config") as site:
        yield site


@pytest.fixture(scope="module")
def shared_night(
    original_night: Original[Night], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NightSite]:
    """Serve one bad night to the tests of a file, which only look at it."""
    folder = tmp_path_factory.mktemp("shared") / "config"
    with (
        override_settings(PASSWORD_HASHERS=HASHERS),
        _serve_night(original_night, settings, folder) as site,
    ):
        yield site


@contextmanager
def _serve_night(source: Original[Night], settings: Any, folder: Path) -> Iterator[NightSite]:
    sinks = source.made.sinks
    bad_night.reset(sinks)
    bad_night.configure(settings, folder, sinks)
    with source.copied(folder) as name:
        variables = {
            **database.environment(source.server, name),
            **source.made.variables,
            "ORBIT_CONFIG_DIR": str(folder),
        }
        with serve(variables) as address:
            yield NightSite(address, source.made, variables, name)


@contextmanager
def serve(variables: dict[str, str]) -> Iterator[str]:
    """Run a web server; yield its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    web = _start("web", {**variables, "PORT": str(port)})
    try:
        until(lambda: _up(address), "the web server doesn't answer")
        yield address
    finally:
        # Other tests end it properly, which takes a second.
        processes.kill_group(web.pid, signal.SIGKILL)
        web.wait(60)


def _start(command: str, variables: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "manage.py", command],
        cwd=database.PROJECT,
        env={**os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE": "", **variables},
        start_new_session=True,
    )


def _up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The file that takes longest comes first, so that it doesn't run alone at the end.
    items.sort(key=lambda item: item.path.name != "test_night_walk.py")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the clicks of each job."""
    lines = [
        text
        for report in terminalreporter.stats.get("passed", [])
        + terminalreporter.stats.get("failed", [])
        for name, text in report.user_properties
        if name == "job" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("clicks of each job")
        for line in sorted(lines, key=lambda text: int(text[1:4])):
            terminalreporter.write_line(line)
