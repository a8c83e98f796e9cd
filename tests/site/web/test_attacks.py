"""Whatever strangers do to the web server, a halt and /health are answered within a second."""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import attacks, database, processes, project
from tests.support.attacks import HEAD
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.project import PROJECT
from tests.support.silent_proxy import SilentProxy
from tests.support.web_server import start, wait_until_it_serves

pytestmark = [pytest.mark.processes, pytest.mark.slow]

SECOND = 1.0
#: On a busy machine one of several may be late; a server without a reserve answers none.
TRIES = 20
PREPARE = """
from governance import audit
from governance.namespaces import registry
from governance.audit.actions import Action
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
registry.ensure([f"n{i}" for i in range(200)])
call_command("user", "create", "root", "--role", "administrator", "--superuser")
browser = Client()
browser.force_login(User.objects.get(username="root"))
large = {"text": "x" * 60000}
for number in range(240):
    with audit.transaction():
        audit.record(Action.NAMESPACE_HALTED, actor="root", object_id="x", after=large)
call_command("token", "create", "root", "--scopes", "read,operate,configure", "--json")
print(browser.cookies["sessionid"].value)
"""


@dataclass
class Site:
    """A running web server, and what a client of it needs."""

    address: tuple[str, int]
    token: str
    session: str
    owner: str
    proxy: SilentProxy
    names: Iterator[int]

    def post(self, path: str, body: object, seconds: float = 60) -> tuple[int, float]:
        """Return status and seconds."""
        return self._ask("POST", path, json.dumps(body), seconds)

    def health(self) -> tuple[int, float]:
        return self._ask("GET", "/health", None, 60)

    def _ask(self, method: str, path: str, body: str | None, seconds: float) -> tuple[int, float]:
        began = time.monotonic()
        connection = http.client.HTTPConnection(*self.address, timeout=seconds)
        try:
            connection.request(method, path, body, self.headers)
            return connection.getresponse().status, time.monotonic() - began
        finally:
            connection.close()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

    def export(self) -> bytes:
        """Return the request for a download of some megabytes."""
        return (
            "GET /admin/governance/audittrailentry/export/ HTTP/1.1\r\nHost: localhost\r\n"
            f"Cookie: sessionid={self.session}\r\n\r\n"
        ).encode()

    def is_halted(self, name: str) -> bool:
        with psycopg.connect(self.owner) as connection:
            row = connection.execute(
                "SELECT s.halt FROM governance_governancesetting s JOIN governance_namespace n "
                "ON n.id = s.namespace_id WHERE n.name = %s",
                [name],
            ).fetchone()
        return row == (True,)

    def ensure_it_can_be_stopped(self) -> None:
        """Halts take effect, and one of some takes less than a second, as does /health."""
        halts, probes = [], []
        for _ in range(TRIES):
            name = f"n{next(self.names)}"
            status, seconds = self.post(f"/governance/namespaces/{name}/halt", {"reason": "stop"})
            assert status == 200
            assert self.is_halted(name)
            halts.append(seconds)
            status, seconds = self.health()
            assert status == 200
            probes.append(seconds)
            if min(halts) < SECOND and min(probes) < SECOND:
                return
        pytest.fail(f"no halt or no /health within a second: {halts}, {probes}")


@pytest.fixture(scope="module")
def site(server: Server) -> Iterator[Site]:
    name = f"orbit_attacked_{os.getpid()}_{free_port()}"
    database.clone(server, name)
    variables = {**os.environ, **database.environment(server, name), "PORT": str(free_port())}
    password = {"ORBIT_PASSWORD": "a-long-password-1"}
    output = _run(variables | password, "shell", "--no-imports", "-v", "0", "-c", PREPARE)
    token, session = json.loads(output.splitlines()[-2])["token"], output.splitlines()[-1]
    with project.open_folder() as folder:
        proxy = SilentProxy(folder, server.host)
        process = start(
            {
                **variables,
                "DATABASE_URL": variables["DATABASE_URL"].replace(server.host, str(folder)),
                "ORBIT_DRAIN_SECONDS": "1",
            }
        )
        wait_until_it_serves(variables, process)
        try:
            yield Site(
                ("127.0.0.1", int(variables["PORT"])),
                token,
                session,
                variables["ORBIT_OWNER_DATABASE_URL"],
                proxy,
                itertools.count(),
            )
        finally:
            processes.kill_group(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)
            proxy.close()
    database.drop(server, name)


def _run(variables: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        HEAD + b"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"",
    ],
    ids=["head", "body", "chunked", "nothing"],
)
def test_beside_half_open_requests(site: Site, beginning: bytes) -> None:
    with attacks.half_open(site.address, beginning):
        site.ensure_it_can_be_stopped()


@pytest.mark.parametrize("count", [8, 64])
def test_beside_clients_that_do_not_read_an_export(site: Site, count: int) -> None:
    with attacks.slow_readers(site.address, site.export(), count):
        time.sleep(1)
        site.ensure_it_can_be_stopped()
        # Nor do they hold the ordinary threads.
        until(lambda: site.post("/governance/namespaces/n0/nothing", {})[0] == 404)


def test_beside_clients_that_do_not_read_what_the_server_holds_ready(site: Site) -> None:
    body = json.dumps({f"k{number}": 0 for number in range(60_000)}).encode()
    head = HEAD + f"Authorization: Bearer {site.token}\r\n".encode()
    request = head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with attacks.slow_readers(site.address, request + body, 8):
        site.ensure_it_can_be_stopped()


def test_beside_database_connections_that_fall_silent(site: Site) -> None:
    for _ in range(20):
        site.post("/cycles/nothing", {})
    assert site.proxy.silence() >= 4
    site.ensure_it_can_be_stopped()
    until(lambda: site.post("/cycles/nothing", {})[0] == 404)
    # And again while ordinary requests wait for one that has just fallen silent.
    with attacks.flood(
        site.address, 20, lambda asked: asked.request("GET", "/cycles", headers=site.headers)
    ):
        time.sleep(0.5)
        site.proxy.silence()
        site.ensure_it_can_be_stopped()


def test_beside_a_locked_table_and_impatient_clients(site: Site) -> None:
    def trigger(asked: http.client.HTTPConnection) -> None:
        asked.request("POST", "/cycles/trigger", '{"namespace": "n199"}', site.headers)

    with (
        attacks.locked_table(site.owner, "orbit_cyclerun"),
        attacks.flood(site.address, 10, trigger, patience=5),
    ):
        time.sleep(1)
        site.ensure_it_can_be_stopped()
    until(lambda: site.post("/cycles/trigger", {"namespace": "n198"})[0] == 202)


def test_beside_a_flood_of_slow_requests_which_are_asked_to_come_back(site: Site) -> None:
    def read(asked: http.client.HTTPConnection) -> None:
        asked.request("GET", "/cycles", headers=site.headers)

    def cancel(asked: http.client.HTTPConnection) -> None:
        path = "/cycles/0190a1b2-0000-7000-8000-000000000001/cancel"
        asked.request("POST", path, '{"reason": "x"}', site.headers)

    with (
        attacks.locked_table(site.owner, "orbit_cyclerun"),
        attacks.flood(site.address, 60, read) as answers,
        attacks.flood(site.address, 12, cancel),
    ):
        time.sleep(1)
        site.ensure_it_can_be_stopped()
        until(
            lambda: any(status == 503 and "retry-after" in more for status, more in answers),
            "no request was asked to come back",
        )


def _profile(**members: object) -> bytes:
    document = {"profile_id": "p", "label": "P", "state": "enabled", **members}
    return json.dumps(document).encode()


def _tier(transformer: str, **options: object) -> bytes:
    tiers = {"1": {"transformer": transformer, "options": options}}
    return _profile(execution_rules={"tiers": tiers})


MANY = 60_000
HOSTILE = {
    "a long content type": _tier("template", template="x", content_type="/" * 32_000 + " "),
    "semicolons": _tier("template", template="x", content_type="a/" + ";" * 32_000 + "\t"),
    "names in a template": _tier("template", template="".join(f"$a{n}" for n in range(30_000))),
    "headers": _tier("http", url="http://x/", headers={f"h{n}": "\n" for n in range(MANY)}),
    "tags": _profile(value_tags=[{"k": n} for n in range(MANY)]),
    "unknown names": _profile(**{f"u{n}": n for n in range(MANY)}),
    "tiers": _profile(execution_rules={"tiers": {str(n): {} for n in range(MANY)}}),
    "arrays": b"[" + b"[]," * 300_000 + b"[]]",
    "a late error": b"[" + b"1," * 500_000 + b"NaN]",
    "nesting": b"[" * 1_000_000,
    "a number": b'{"n":' + b"1" * 1_000_000 + b"}",
    "numbers": _profile(style_vector={"n": [0.5] * 60_000}),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=list(HOSTILE))
def test_beside_eight_bodies_that_are_dear_to_check(site: Site, body: bytes) -> None:
    headers = {**site.headers, "If-None-Match": "*"}

    def put(asked: http.client.HTTPConnection) -> None:
        asked.request("PUT", "/profiles/p", body, headers)

    with attacks.flood(site.address, 8, put) as answers:
        site.ensure_it_can_be_stopped()
        until(lambda: len(answers) >= 8)
    assert {status for status, _ in answers} <= {200, 201, 400, 412, 422, 503}


def test_beside_forms_without_a_login_that_are_dear_to_read(site: Site) -> None:
    cookie = "csrftoken=" + "a" * 32
    form = b"a=" + b"%41" * 300_000

    def send(asked: http.client.HTTPConnection) -> None:
        kind = "application/x-www-form-urlencoded"
        asked.request("POST", "/admin/halt/", form, {"Cookie": cookie, "Content-Type": kind})

    with attacks.flood(site.address, 8, send) as answers:
        site.ensure_it_can_be_stopped()
        until(lambda: len(answers) >= 8)
    assert {status for status, _ in answers} <= {403, 503}


def test_an_export_of_megabytes_arrives_whole(site: Site) -> None:
    asked = http.client.HTTPConnection(*site.address, timeout=60)
    path = "/admin/governance/audittrailentry/export/"
    asked.request("GET", path, headers={"Cookie": f"sessionid={site.session}"})
    lines = asked.getresponse().read().decode().splitlines()
    asked.close()
    assert sum(map(len, lines)) > 10_000_000
    # The signed head comes last.
    assert json.loads(lines[-1]).keys() - json.loads(lines[-2]).keys()


def test_beside_logins_with_new_names(site: Site) -> None:
    numbers = itertools.count()

    def login(asked: http.client.HTTPConnection) -> None:
        asked.request("GET", "/admin/login/")
        page = asked.getresponse()
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        page.read()
        token = cookie.partition("=")[2]
        form = f"username=new{next(numbers)}&password=wrong&csrfmiddlewaretoken={token}"
        asked.request(
            "POST",
            "/admin/login/",
            form,
            {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"},
        )

    with attacks.flood(site.address, 16, login) as answers:
        site.ensure_it_can_be_stopped()
        until(lambda: len(answers) >= 16)
    assert {status for status, _ in answers} <= {200, 503}
