"""A web server over a database that holds a cycle with dead letters."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import expect

from governance.access import tokens
from governance.access.actors import SYSTEM
from orbit.models import DeadLetterDispatch
from orbit.profiles import reload
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.callers import create_user
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.pipeline import configure_endpoints, run_cycle, start_cycle
from tests.support.polling import until
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        **database.environment(server, committed),
        "PORT": str(port),
        "ORBIT_CONFIG_DIR": str(tmp_path),
        "ORBIT_DISPATCH_ENDPOINTS": settings.ORBIT_DISPATCH_ENDPOINTS,
        "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
    }
    web = subprocess.Popen(
        [sys.executable, "manage.py", "web"],
        cwd=database.PROJECT,
        env=environment,
        start_new_session=True,
    )
    site = Site(f"http://127.0.0.1:{port}", token, str(cycle.pk), letters)
    try:
        until(lambda: _up(site.address), "the web server doesn't answer")
        yield site
    finally:
        web.terminate()
        web.wait(60)


def _up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
