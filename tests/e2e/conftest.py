"""Web servers over a database: with a cycle that has dead letters, or with the bad night."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from playwright.sync_api import expect

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit.models import DeadLetterDispatch
from orbit.profiles import reload
from orbit_site.processes.postgres import Server
from tests.support import bad_night, database, processes
from tests.support.bad_night import Night
from tests.support.callers import create_user
from tests.support.clusters import Cluster
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.pipeline import configure_endpoints, run_cycle, start_cycle
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.receiver import Receiver, http

# A bound for a busy machine: expectations are polled.
expect.set_options(timeout=60_000)


@dataclass(frozen=True)
class Site:
    """A running console and the ids of its objects."""

    address: str
    token: str
    cycle: str
    letters: list[str]

    def api(self, path: str) -> Any:
        request = urllib.request.Request(
            self.address + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture
def site(server: Server, committed: str, settings: Any, tmp_path: Path) -> Iterator[Site]:
    """Serve a database with one cycle of ``eu`` whose deliveries to ``archive`` are dead."""
    write_profiles(
        tmp_path,
        [profile("p1")],
        [run_profile("r1", "p1", "eu", distribution_targets=["aurora", "archive"])],
    )
    settings.ORBIT_CONFIG_DIR = tmp_path
    # The web server process checks passwords with Django's default hasher.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    with (
        Receiver(http("200 OK", b'{"accepted": true}')) as good,
        Receiver(http("410 Gone", b"<script>alert(1)</script>")) as bad,
    ):
        configure_endpoints(settings, aurora=good.url, archive=bad.url)
        reload.load_at_start()
        cycle = run_cycle(start_cycle("r1", b'{"text": "<script>alert(2)</script>"}'))
    user, _ = create_user("ann", "Operator"), create_user("adm", "Administrator")
    letters = [
        str(pk) for pk in DeadLetterDispatch.objects.order_by("id").values_list("pk", flat=True)
    ]
    token = tokens.create(user, scopes=["read"], actor=SYSTEM)[1]
    connection.close()
    variables = {
        **database.environment(server, committed),
        "ORBIT_CONFIG_DIR": str(tmp_path),
        "ORBIT_DISPATCH_ENDPOINTS": settings.ORBIT_DISPATCH_ENDPOINTS,
        "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
    }
    with serve(variables) as address:
        yield Site(address, token, str(cycle.pk), letters)


@dataclass(frozen=True)
class NightSite:
    """A running console of the bad night."""

    address: str
    night: Night
    variables: dict[str, str]

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


@pytest.fixture
def night(
    server: Server,
    committed: str,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[NightSite]:
    """Serve the bad night. No cluster runs."""
    with _serve_night(server, committed, settings, tmp_path, monkeypatch) as site:
        yield site


@pytest.fixture(scope="module")
def shared_night(
    server: Server, committed_by_all: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NightSite]:
    """Serve one bad night to the tests of a file, which only look at it."""
    # Processes check passwords with Django's default hasher.
    hashers = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    with (
        override_settings(PASSWORD_HASHERS=hashers),
        pytest.MonkeyPatch.context() as patch,
        _serve_night(
            server, committed_by_all, settings, tmp_path_factory.mktemp("night"), patch
        ) as site,
    ):
        yield site


@contextmanager
def _serve_night(
    server: Server, committed: str, settings: Any, folder: Path, patch: pytest.MonkeyPatch
) -> Iterator[NightSite]:
    # While the browser's loop runs in this thread, tests read the database.
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with bad_night.receivers() as sinks:
        made = bad_night.create(settings, folder, sinks)
        connection.close()
        variables = {**database.environment(server, committed), **made.variables}
        with serve(variables) as address:
            yield NightSite(address, made, variables)


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
        web.terminate()
        web.wait(60)


def _start(command: str, variables: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "manage.py", command],
        cwd=database.PROJECT,
        env={**os.environ, **variables},
        start_new_session=True,
    )


def _up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the clicks of each job (J22 has none: see S25)."""
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
