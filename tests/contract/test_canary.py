"""Planted secrets never come out of a real installation.

Not in a table, log, page, answer, metric, export, command line or queue row.
"""

import base64
import html
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psutil
import pytest
from cryptography.fernet import Fernet
from django.urls import URLPattern, get_resolver

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.canary import Cage, planted
from tests.support.configuration import profile, run_profile, write_profiles
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.project import free_port
from tests.support.receiver import Receiver, close
from tests.support.receiver import http as answer

NAMES = (
    "token",
    "path",
    "query",
    "header",
    "echoed",
    "echoed_query",
    "secret_key",
    "metrics_token",
    "password",
    "inquiry",
)
PAGES_OF_A_SHAPE = 2
#: Runs commands in one process, as manage.py would: most of a command's time is its start.
RUN = """
import json, sys
from orbit_site.processes import entry
for words in json.loads(sys.argv[1]):
    try:
        entry.run(["manage.py", *words])
    except SystemExit:
        pass
"""


@dataclass
class Stand:
    """A real web server and cluster at DEBUG, a receiver that fails and one that echoes."""

    cage: Cage
    folder: Path
    environment: dict[str, str]
    pids: list[int]
    server_log: Path
    said_before: int
    api_token: str = ""

    def manage(self, *commands: tuple[str, ...]) -> str:
        """Run commands; return their output."""
        done = subprocess.run(
            [sys.executable, "-c", RUN, json.dumps(commands)],
            cwd=database.PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout + done.stderr

    def ask(
        self, method: str, path: str, *, body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(self.environment["PORT"]), timeout=30
        )
        try:
            connection.request(
                method,
                path,
                body,
                {name.replace("_", "-"): value for name, value in headers.items()},
            )
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@contextmanager
def standing(server: Server, name: str, folder: Path, receivers: list[Receiver]) -> Iterator[Stand]:
    known = {name: planted() for name in NAMES}
    key, secret = planted(32), "whsec_" + base64.b64encode(planted(32).encode()).decode()
    known |= {
        "signing_secret": secret.removeprefix("whsec_"),
        "signing_key": base64.b64decode(secret.removeprefix("whsec_")).decode(),
    }
    sealing = base64.urlsafe_b64encode(key.encode()).decode()
    known |= {"sealing_key": sealing, "sealing_bytes": key}
    Fernet(sealing)
    failing, echoing = receivers
    common = {"method": "POST", "signing_secret": secret, "read_timeout": 1, "total_timeout": 2}
    endpoints = [
        {
            **common,
            "key": "failing",
            "url": f"{failing.url}/{known['path']}?key={known['query']}",
            "token": known["token"],
            "headers": {"X-Key": known["header"]},
            "inquiry_url": f"{failing.url}/{known['inquiry']}/{{id}}",
        },
        {
            **common,
            "key": "echoing",
            "url": f"{echoing.url}?key={known['echoed_query']}",
            "token": known["echoed"],
            "headers": {"X-Key": known["header"]},
        },
    ]
    write_profiles(folder, [profile()], [run_profile(distribution_targets=["failing", "echoing"])])
    environment = {
        **os.environ,
        **database.environment(server, name),
        "DJANGO_SETTINGS_MODULE": "tests.support.debug_settings",
        "ORBIT_CONFIG_DIR": str(folder),
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps(endpoints),
        "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
        "ORBIT_DISPATCH_BACKOFF_BASE": "0.05",
        "ORBIT_DISPATCH_BACKOFF_CAP": "0.1",
        "ORBIT_MAX_DISPATCH_RETRIES": "1",
        "ORBIT_CRON_SCHEDULE": "",
        "ORBIT_SECRET_KEY": known["secret_key"],
        "ORBIT_ENCRYPTION_KEYS": sealing,
        "ORBIT_METRICS_TOKEN": known["metrics_token"],
        "ORBIT_PASSWORD": known["password"],
        "PORT": str(free_port()),
        "ORBIT_LOG_DIR": str(folder / "logs"),
        "PYTHONUNBUFFERED": "1",
    }
    server_log = server.data.with_name("postgres.log")
    # The log of all tests: skip what was logged before the secrets existed.
    stand = Stand(Cage(), folder, environment, [], server_log, server_log.stat().st_size)
    said = stand.manage(
        ("user", "create", "root", "--role", "administrator", "--superuser"),
        ("token", "create", "root", "--scopes", "read,operate,review,configure", "--json"),
    )
    assert "created" in said
    # The only place that may show it, once.
    stand.api_token = json.loads(said.splitlines()[-1])["token"]
    stand.cage = Cage(**known, api_token=stand.api_token)
    running = []
    try:
        for words in ("web", "cluster"):
            with (folder / f"{words}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [sys.executable, "manage.py", words],
                        cwd=database.PROJECT,
                        env=environment,
                        stdout=log,
                        stderr=log,
                    )
                )
        stand.pids = [process.pid for process in running]
        until(
            lambda: rows("SELECT 1 FROM orbit_clusternode") and _serves(stand),
            "web and cluster aren't there",
        )
        yield stand
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)


def _serves(stand: Stand) -> bool:
    try:
        return stand.ask("GET", "/health")[0] == 200
    except OSError:
        return False


class Mirror(Receiver):
    """Refuses every delivery and echoes its headers: plain, as JSON and as HTML."""

    def __init__(self) -> None:
        super().__init__(self._mirror)

    def _mirror(self, sock: Any) -> None:
        request = self.requests[-1]
        plain = (
            request.line
            + "\n"
            + "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        )
        sock.sendall(
            answer(
                "500 Oops", f"{plain}\n{json.dumps(request.headers)}\n{html.escape(plain)}".encode()
            )
        )


def ended(stand: Stand) -> bool:
    return rows("SELECT count(*) FROM orbit_deadletterdispatch") == [(6,)] and not rows(
        "SELECT 1 FROM orbit_cyclerun WHERE finished_at IS NULL"
    )


@pytest.mark.slow
@pytest.mark.processes
def test_no_planted_secret_comes_out_anywhere(
    server: Server, committed: str, tmp_path: Path
) -> None:
    with (
        Receiver(close, answer("503 No"), b"SSH-2.0\r\n", lambda sock: None) as failing,
        Mirror() as echoing,
    ):
        with standing(server, committed, tmp_path, [failing, echoing]) as stand:
            found = _drive(stand)
            found += [leak for pid in stand.pids for leak in _command_lines(stand, pid)]
            cookie = _log_in(stand)
            found += _govern(stand, cookie)
            found += _pages(stand, cookie) + _answers(stand) + _commands(stand)
            assert failing.requests
            assert echoing.requests
        found += _tables(stand) + _files(stand)
    assert found == []
    assert stand.cage.searched > 1_000_000
    # The search works: it finds the secrets in the request to the receiver, where they belong.
    sent = str(failing.requests[0])
    assert {leak.split()[0] for leak in stand.cage.look("the wire", sent)} >= {
        "token",
        "path",
        "query",
        "header",
    }


def _drive(stand: Stand) -> list[str]:
    """Run cycles, failures and a requeue, and send right and wrong credentials."""
    bearer = {"Authorization": f"Bearer {stand.api_token}", "Content-Type": "application/json"}
    status, _, body = stand.ask(
        "POST", "/cycles/trigger", body=b'{"run_profile_id": "daily-eu"}', **bearer
    )
    assert status == 202, body
    until(lambda: ended(stand), "the deliveries didn't end")
    letter = rows("SELECT id FROM orbit_deadletterdispatch LIMIT 1")[0][0]
    outputs = [
        stand.ask("POST", f"/dead-letters/{letter}/requeue", body=b'{"reason": "again"}', **bearer)
    ]
    until(
        lambda: rows("SELECT 1 FROM orbit_deadletterdispatch HAVING count(*) = 7"),
        "the requeued job didn't end",
    )
    # Credentials in the wrong place and in the wrong form.
    metrics, password = (
        stand.environment["ORBIT_METRICS_TOKEN"],
        stand.environment["ORBIT_PASSWORD"],
    )
    for wrong in (
        f"Bearer {metrics}",
        f"Basic {stand.api_token}",
        f"Bearer {stand.api_token} x",
        f"Bearer {stand.api_token[:-1]}",
        f"Token {password}",
    ):
        outputs += [
            stand.ask("GET", path, Authorization=wrong)
            for path in ("/cycles", "/metrics", "/admin/")
        ]
    outputs.append(stand.ask("POST", "/cycles/trigger", body=b'{"x": ', **bearer))
    outputs.append(stand.ask("GET", "/metrics", Authorization=f"Bearer {metrics}"))
    assert outputs[-1][0] == 200
    outputs += _deeds(stand, bearer)
    return [
        leak
        for status, headers, body in outputs
        for leak in stand.cage.look(f"an answer {status}", str(headers).encode() + body)
    ]


def _deeds(
    stand: Stand, bearer: dict[str, str]
) -> list[tuple[int, http.client.HTTPMessage, bytes]]:
    """Edit, restore, reload, halt, pause, rerun and trigger, for their records and answers."""
    cycle = rows("SELECT id FROM orbit_cyclerun ORDER BY id LIMIT 1")[0][0]
    edited, why = json.dumps(profile(label="Edited")), '{"reason": "because"}'
    outputs = []
    for method, path, body, seen, expected in (
        ("PUT", "/profiles/daily", '{"label": 1}', '"1"', 422),
        ("PUT", "/profiles/daily", edited, '"1"', 200),
        ("PUT", "/profiles/daily", edited, '"1"', 412),
        ("POST", "/profiles/daily/revisions/1/restore", why, '"2"', 200),
        ("POST", "/governance/namespaces/eu/halt", why, "", 200),
        ("POST", "/cycles/trigger", '{"run_profile_id": "daily-eu"}', "", 423),
        ("POST", "/governance/namespaces/eu/resume", why, "", 200),
        ("POST", "/governance/pause", why, "", 200),
        ("POST", "/governance/unpause", why, "", 200),
        ("POST", "/config/reload", why, "", 200),
        # From here on cycles run, and wait for endpoints that are down.
        ("POST", f"/cycles/{cycle}/rerun", why, "", 202),
        ("POST", "/run-profiles/trigger", why, "", 202),
        ("POST", "/cycles/rerun", '{"filter": {}, "reason": "because"}', "", 202),
    ):
        outputs.append(
            stand.ask(
                method, path, body=body.encode(), **bearer, **({"If_Match": seen} if seen else {})
            )
        )
        assert outputs[-1][0] == expected, (method, path, outputs[-1])
    return outputs


def _command_lines(stand: Stand, pid: int) -> list[str]:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return [
        leak
        for process in processes
        for leak in stand.cage.look("a command line", " ".join(process.cmdline()) + process.name())
    ]


def _log_in(stand: Stand) -> str:
    """Log in to the console with the real password, after a wrong one; return the cookies."""
    status, headers, body = stand.ask("GET", "/admin/login/")
    csrf = headers["Set-Cookie"].split(";")[0]
    hidden = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', body)
    assert hidden is not None
    for password in (
        stand.environment["ORBIT_PASSWORD"] + "x",
        stand.environment["ORBIT_PASSWORD"],
    ):
        token = hidden[1].decode()
        fields = {"username": "root", "password": password, "csrfmiddlewaretoken": token}
        form = urlencode({**fields, "next": "/admin/"}).encode()
        status, headers, body = stand.ask(
            "POST",
            "/admin/login/",
            body=form,
            Cookie=csrf,
            Content_Type="application/x-www-form-urlencoded",
        )
        assert stand.cage.look("the login page", body) == []
    assert status == 302
    return "; ".join(
        [csrf, *(cookie.split(";")[0] for cookie in headers.get_all("Set-Cookie", []))]
    )


def _govern(stand: Stand, cookie: str) -> list[str]:
    """Create a user with a password, and a token, in the console, and search for both.

    Only the answer that shows the token may hold it.
    """
    password, operator = planted(), rows("SELECT id FROM auth_group WHERE name = 'Operator'")[0][0]
    stand.cage.add("new_password", password)
    new = {
        "username": "new",
        "is_active": "on",
        "is_staff": "on",
        "groups": operator,
        "usable_password": "true",
        "password1": password,
        "namespace_grants-TOTAL_FORMS": 0,
        "namespace_grants-INITIAL_FORMS": 0,
    }
    answers = [
        _fill(stand, cookie, "/admin/auth/user/add/", **new, password2=second)
        for second in (password + "x", password)
    ]
    assert [status for status, _ in answers] == [200, 302]
    status, body = _fill(
        stand,
        cookie,
        "/admin/access/tokens/new/",
        owner="root",
        name="shown",
        scopes="read",
        days=9,
        reason="because",
    )
    shown = re.search(rb"orbit_[\w-]{40,}", body)
    assert status == 200
    assert shown is not None
    token = shown[0].decode()
    stand.cage.add("console_token", token)
    assert stand.ask("GET", "/cycles", Authorization=f"Bearer {token}")[0] == 200
    halted = _fill(stand, cookie, "/admin/halt/", namespace="eu", reason="because")
    exported = _fill(stand, cookie, "/admin/config/drift/", _export="1", reason="because")
    assert (halted[0], exported[0]) == (302, 302)
    return [
        leak
        for _, body in [*answers, halted, exported]
        for leak in stand.cage.look("an answer to a form", body)
    ]


def _fill(stand: Stand, cookie: str, path: str, **fields: Any) -> tuple[int, bytes]:
    hidden = re.search(
        rb'name="csrfmiddlewaretoken" value="([^"]+)"', stand.ask("GET", path, Cookie=cookie)[2]
    )
    assert hidden is not None
    form = urlencode({**fields, "csrfmiddlewaretoken": hidden[1].decode()}).encode()
    status, _, body = stand.ask(
        "POST", path, body=form, Cookie=cookie, Content_Type="application/x-www-form-urlencoded"
    )
    return status, body


def _pages(stand: Stand, cookie: str) -> list[str]:
    """Follow the links of the console; of pages that differ in an id only, a few each."""
    # One attempt and one letter of each endpoint, because the two receivers answer differently.
    each = (
        "SELECT DISTINCT ON (endpoint_key) 'deadletterdispatch', id "
        "FROM orbit_deadletterdispatch "
        "UNION ALL SELECT DISTINCT ON (endpoint_key) 'deliveryreceipt', r.id "
        "FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id"
    )
    known = rows(each)
    assert len(known) == 4
    found, left = (
        [],
        ["/admin/", *(f"/admin/orbit/{table}/{number}/change/" for table, number in known)],
    )
    seen: set[str] = set()
    shapes: Counter[str] = Counter()
    while left:
        path = left.pop(0)
        bare = urlsplit(path).path
        shape = re.sub(r"[0-9a-f-]{32,36}|\d+", "*", bare)
        if bare in seen or shapes[shape] >= PAGES_OF_A_SHAPE:
            continue
        seen.add(bare)
        shapes[shape] += 1
        status, headers, body = stand.ask("GET", path, Cookie=cookie)
        assert status < 500, path
        found += stand.cage.look(f"the page {path}", str(headers).encode() + body)
        links = (
            re.findall(rb'(?:href|action)="([^"#]+)"', body)
            if headers.get_content_type() == "text/html"
            else []
        )
        local = [html.unescape(link.decode()) for link in links]
        left += [
            link if link.startswith("/") else bare + link
            for link in local
            if not re.match(r"\w+:|//|/static/|/admin/logout", link)
        ]
    assert {
        f"/admin/orbit/{table}/"
        for table in ("deliveryreceipt", "dispatchjob", "endpointsnapshot", "deadletterdispatch")
    } <= seen
    new = {
        "access/",
        "config/drift/",
        "governance/audittrailentry/verify/",
        "governance/audittrailentry/export/",
        "halt/",
        "pause/",
        "orbit/schedules/",
        "orbit/why/",
        "orbit/cyclerun/compare/",
        "orbit/profile/add/",
        "orbit/profile/*/change/",
        "orbit/profile/*/history/",
        "orbit/profile/*/history/*/",
        "orbit/runprofile/*/change/",
        "orbit/cyclerun/*/run_again/",
        "governance/namespace/*/change/",
    }
    assert sorted({f"/admin/{page}" for page in new} - shapes.keys()) == []
    assert len(seen) > 60
    return found


def _answers(stand: Stand) -> list[str]:
    """Call every route of the API, with existing ids and with wrong ones."""
    bearer = {"Authorization": f"Bearer {stand.api_token}"}
    ids = {
        "cycle_id": "SELECT id FROM orbit_cyclerun",
        "letter_id": "SELECT id FROM orbit_deadletterdispatch",
        "profile_id": "SELECT 'daily'",
        "run_profile_id": "SELECT 'daily-eu'",
        "namespace": "SELECT 'eu'",
        "run_id": "SELECT id FROM governance_operationrun",
        "number": "SELECT 1",
    }
    found = []
    patterns = [
        str(pattern.pattern)
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLPattern)
    ]
    assert len(patterns) > 15
    for pattern in patterns:
        known = re.sub(
            r"<\w+:(\w+)>",
            lambda match: str(rows(ids.get(match[1], "SELECT gen_random_uuid()"))[0][0]),
            pattern,
        )
        for method, body in (
            ("GET", b""),
            ("POST", b"{}"),
            ("POST", b'{"a":'),
            ("PUT", b""),
            ("DELETE", b""),
        ):
            if "trigger" in pattern and body == b"{}":
                continue
            status, headers, answered = stand.ask(
                method, f"/{known}", body=body, **bearer, Content_Type="application/json"
            )
            assert status < 500 or status == 503, (method, known, answered)
            found += stand.cage.look(f"{method} /{pattern}", str(headers).encode() + answered)
    for odd in ("/nowhere", "/cycles/x", "/%00", "/admin/orbit/cyclerun/x/change/"):
        found += stand.cage.look(odd, stand.ask("GET", odd, **bearer)[2])
    return found


def _commands(stand: Stand) -> list[str]:
    commands = [
        ("config", "check", "--json"),
        ("config", "diff", "--json"),
        ("config", "export", "--json"),
        ("cycles", "--json"),
        ("dlq", "list", "--json"),
        ("audit", "export", "-"),
        ("audit", "verify"),
        ("namespace", "show", "eu", "--json"),
        ("token", "list", "--json"),
        ("user", "list", "--json"),
        ("why", "--run-profile", "daily-eu", "--at", "2026-01-31T06:00:00Z", "--json"),
        ("rerun", "--all", "--dry-run", "--reason", "r", "--json"),
        ("halt", "eu", "--reason", "again", "--json"),
        ("resume", "eu", "--reason", "again", "--json"),
        ("check", "--deploy"),
    ]
    said = stand.manage(*commands)
    assert all(
        mark in said
        for mark in (
            '"valid"',
            '"written"',
            '"trigger"',
            '"cycle_run_id"',
            '"previous_hash"',
            "intact: ",
            '"answer"',
            "silenced",
        )
    ), said
    found = stand.cage.look("what the commands say", said)
    return found + [
        leak
        for path in stand.folder.glob("*.json")
        for leak in stand.cage.look(path.name, path.read_bytes())
    ]


def _tables(stand: Stand) -> list[str]:
    """Read every column of every table, bytes too, and the queue's rows unpacked."""
    found = []
    tables = rows(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 30
    for (table,) in tables:
        for (text,) in rows(f"SELECT t::text FROM {table} t"):
            found += stand.cage.look(f"the table {table}", text)
            found += [
                leak
                for piece in re.findall(r"\\\\x([0-9a-f]+)", text)
                for leak in stand.cage.look(f"bytes of the table {table}", bytes.fromhex(piece))
            ]
    for (payload,) in rows("SELECT payload FROM django_q_ormq"):
        data = payload.split(":")[0]
        packed = base64.urlsafe_b64decode(data.lstrip(".") + "=" * (-len(data.lstrip(".")) % 4))
        found += stand.cage.look(
            "a queue row", zlib.decompress(packed) if data.startswith(".") else packed
        )
    return found


def _files(stand: Stand) -> list[str]:
    """Read all logs: of web, cluster, the log folder and PostgreSQL."""
    logs = [*stand.folder.glob("*.log"), *(stand.folder / "logs").iterdir()]
    said = (stand.folder / "cluster.log").read_bytes()
    assert b" DEBUG " in said or b" INFO " in said
    with stand.server_log.open("rb") as log:
        log.seek(
            stand.said_before if stand.server_log.stat().st_size >= stand.said_before else 0
        )  # it may have been begun anew
        found = stand.cage.look("the server's log", log.read())
    return found + [leak for path in logs for leak in stand.cage.look(path.name, path.read_bytes())]
