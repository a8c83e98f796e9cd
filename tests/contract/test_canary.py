"""Planted secrets never leave a real installation."""

import base64
import html
import http.client
import json
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.urls import URLPattern, get_resolver

from orbit_site.processes.postgres import Server
from tests.contract.deployment import Deployment, deployed
from tests.support import processes
from tests.support.canary import planted
from tests.support.configuration import profile
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.receiver import Receiver, close
from tests.support.receiver import http as answer

PAGES_OF_A_SHAPE = 2


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


def all_ended(deployment: Deployment) -> bool:
    return rows("SELECT count(*) FROM orbit_deadletterdispatch") == [(6,)] and not rows(
        "SELECT 1 FROM orbit_cyclerun WHERE finished_at IS NULL"
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.processes
def test_no_planted_secret_comes_out_anywhere(
    server: Server, committed: str, tmp_path: Path
) -> None:
    with (
        Receiver(close, answer("503 No"), b"SSH-2.0\r\n", lambda sock: None) as failing,
        Mirror() as echoing,
    ):
        with deployed(server, committed, tmp_path, [failing, echoing]) as deployment:
            leaks = _drive(deployment)
            leaks += [leak for pid in deployment.pids for leak in _command_lines(deployment, pid)]
            cookie = _log_in(deployment)
            leaks += _govern(deployment, cookie)
            leaks += _pages(deployment, cookie) + _answers(deployment) + _commands(deployment)
            assert failing.requests
            assert echoing.requests
        leaks += _tables(deployment) + _files(deployment)
    assert leaks == []
    assert deployment.cage.searched > 1_000_000
    # The search works: it finds the secrets in the request to the receiver, where they belong.
    request = str(failing.requests[0])
    assert {leak.split()[0] for leak in deployment.cage.look("the wire", request)} >= {
        "token",
        "path",
        "query",
        "header",
    }


def _drive(deployment: Deployment) -> list[str]:
    """Run cycles, failures and a requeue, and send right and wrong credentials."""
    bearer = {"Authorization": f"Bearer {deployment.api_token}", "Content-Type": "application/json"}
    status, _, body = deployment.ask(
        "POST", "/cycles/trigger", body=b'{"run_profile_id": "daily-eu"}', **bearer
    )
    assert status == 202, body
    until(lambda: all_ended(deployment), "the deliveries didn't end")
    letter = rows("SELECT id FROM orbit_deadletterdispatch LIMIT 1")[0][0]
    outputs = [
        deployment.ask(
            "POST", f"/dead-letters/{letter}/requeue", body=b'{"reason": "again"}', **bearer
        )
    ]
    until(
        lambda: rows("SELECT 1 FROM orbit_deadletterdispatch HAVING count(*) = 7"),
        "the requeued job didn't end",
    )
    # Credentials in the wrong place and in the wrong form.
    metrics, password = (
        deployment.environment["ORBIT_METRICS_TOKEN"],
        deployment.environment["ORBIT_PASSWORD"],
    )
    for wrong in (
        f"Bearer {metrics}",
        f"Basic {deployment.api_token}",
        f"Bearer {deployment.api_token} x",
        f"Bearer {deployment.api_token[:-1]}",
        f"Token {password}",
    ):
        outputs += [
            deployment.ask("GET", path, Authorization=wrong)
            for path in ("/cycles", "/metrics", "/admin/")
        ]
    outputs.append(deployment.ask("POST", "/cycles/trigger", body=b'{"x": ', **bearer))
    outputs.append(deployment.ask("GET", "/metrics", Authorization=f"Bearer {metrics}"))
    assert outputs[-1][0] == 200
    outputs += _actions(deployment, bearer)
    return [
        leak
        for status, headers, body in outputs
        for leak in deployment.cage.look(f"an answer {status}", str(headers).encode() + body)
    ]


def _actions(
    deployment: Deployment, bearer: dict[str, str]
) -> list[tuple[int, http.client.HTTPMessage, bytes]]:
    """Edit, restore, reload, halt, pause, rerun and trigger, for their records and answers."""
    cycle = rows("SELECT id FROM orbit_cyclerun ORDER BY id LIMIT 1")[0][0]
    edited, why = json.dumps(profile(label="Edited")), '{"reason": "because"}'
    outputs = []
    for method, path, body, revision, expected in (
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
            deployment.ask(
                method,
                path,
                body=body.encode(),
                **bearer,
                **({"If_Match": revision} if revision else {}),
            )
        )
        assert outputs[-1][0] == expected, (method, path, outputs[-1])
    return outputs


def _command_lines(deployment: Deployment, pid: int) -> list[str]:
    return [
        leak
        for process in processes.family(pid)
        for leak in deployment.cage.look("a command line", processes.words(process))
    ]


def _log_in(deployment: Deployment) -> str:
    """Log in to the console, after a wrong password; return the cookies."""
    status, headers, body = deployment.ask("GET", "/admin/login/")
    csrf = headers["Set-Cookie"].split(";")[0]
    hidden = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', body)
    assert hidden is not None
    for password in (
        deployment.environment["ORBIT_PASSWORD"] + "x",
        deployment.environment["ORBIT_PASSWORD"],
    ):
        token = hidden[1].decode()
        fields = {"username": "root", "password": password, "csrfmiddlewaretoken": token}
        form = urlencode({**fields, "next": "/admin/"}).encode()
        status, headers, body = deployment.ask(
            "POST",
            "/admin/login/",
            body=form,
            Cookie=csrf,
            Content_Type="application/x-www-form-urlencoded",
        )
        assert deployment.cage.look("the login page", body) == []
    assert status == 302
    return "; ".join(
        [csrf, *(cookie.split(";")[0] for cookie in headers.get_all("Set-Cookie", []))]
    )


def _govern(deployment: Deployment, cookie: str) -> list[str]:
    """Create a user and a token in the console; return leaks of their secrets."""
    password, operator = planted(), rows("SELECT id FROM auth_group WHERE name = 'Operator'")[0][0]
    deployment.cage.add("new_password", password)
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
        _fill(deployment, cookie, "/admin/auth/user/add/", **new, password2=second)
        for second in (password + "x", password)
    ]
    assert [status for status, _ in answers] == [200, 302]
    status, body = _fill(
        deployment,
        cookie,
        "/admin/access/tokens/new/",
        owner="root",
        name="shown",
        scopes="read",
        all_namespaces="on",
        days=9,
        reason="because",
    )
    match = re.search(rb"orbit_[\w-]{40,}", body)
    assert status == 200
    assert match is not None
    token = match[0].decode()
    deployment.cage.add("console_token", token)
    assert deployment.ask("GET", "/cycles", Authorization=f"Bearer {token}")[0] == 200
    halted = _fill(deployment, cookie, "/admin/halt/", namespace="eu", reason="because")
    exported = _fill(deployment, cookie, "/admin/config/drift/", _export="1", reason="because")
    assert (halted[0], exported[0]) == (302, 302)
    return [
        leak
        for _, body in [*answers, halted, exported]
        for leak in deployment.cage.look("an answer to a form", body)
    ]


def _fill(deployment: Deployment, cookie: str, path: str, **fields: Any) -> tuple[int, bytes]:
    hidden = re.search(
        rb'name="csrfmiddlewaretoken" value="([^"]+)"',
        deployment.ask("GET", path, Cookie=cookie)[2],
    )
    assert hidden is not None
    form = urlencode({**fields, "csrfmiddlewaretoken": hidden[1].decode()}).encode()
    status, _, body = deployment.ask(
        "POST", path, body=form, Cookie=cookie, Content_Type="application/x-www-form-urlencoded"
    )
    return status, body


def _pages(deployment: Deployment, cookie: str) -> list[str]:
    """Follow the console's links, a few of each kind."""
    # One attempt and one letter of each endpoint, because the two receivers answer differently.
    each = (
        "SELECT DISTINCT ON (endpoint_key) 'deadletterdispatch', id "
        "FROM orbit_deadletterdispatch "
        "UNION ALL SELECT DISTINCT ON (endpoint_key) 'deliveryreceipt', r.id "
        "FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id"
    )
    ids = rows(each)
    assert len(ids) == 4
    leaks, queue = (
        [],
        ["/admin/", *(f"/admin/orbit/{table}/{number}/change/" for table, number in ids)],
    )
    visited: set[str] = set()
    shapes: Counter[str] = Counter()
    while queue:
        path = queue.pop(0)
        bare = urlsplit(path).path
        shape = re.sub(r"[0-9a-f-]{32,36}|\d+", "*", bare)
        if bare in visited or shapes[shape] >= PAGES_OF_A_SHAPE:
            continue
        visited.add(bare)
        shapes[shape] += 1
        status, headers, body = deployment.ask("GET", path, Cookie=cookie)
        assert status < 500, path
        leaks += deployment.cage.look(f"the page {path}", str(headers).encode() + body)
        links = (
            re.findall(rb'(?:href|action)="([^"#]+)"', body)
            if headers.get_content_type() == "text/html"
            else []
        )
        local = [html.unescape(link.decode()) for link in links]
        queue += [
            link if link.startswith("/") else bare + link
            for link in local
            if not re.match(r"\w+:|//|/static/|/admin/logout", link)
        ]
    assert {
        f"/admin/orbit/{table}/"
        for table in ("deliveryreceipt", "dispatchjob", "endpoints", "deadletterdispatch")
    } <= visited
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
    assert len(visited) > 60
    return leaks


def _answers(deployment: Deployment) -> list[str]:
    """Call every route of the API, with existing ids and with wrong ones."""
    bearer = {"Authorization": f"Bearer {deployment.api_token}"}
    ids = {
        "cycle_id": "SELECT id FROM orbit_cyclerun",
        "letter_id": "SELECT id FROM orbit_deadletterdispatch",
        "profile_id": "SELECT 'daily'",
        "run_profile_id": "SELECT 'daily-eu'",
        "namespace": "SELECT 'eu'",
        "run_id": "SELECT id FROM governance_operationrun",
        "number": "SELECT 1",
    }
    leaks = []
    patterns = [
        str(pattern.pattern)
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLPattern)
    ]
    assert len(patterns) > 15
    for pattern in patterns:
        path = re.sub(
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
            status, headers, content = deployment.ask(
                method, f"/{path}", body=body, **bearer, Content_Type="application/json"
            )
            assert status < 500 or status == 503, (method, path, content)
            leaks += deployment.cage.look(f"{method} /{pattern}", str(headers).encode() + content)
    for odd in ("/nowhere", "/cycles/x", "/%00", "/admin/orbit/cyclerun/x/change/"):
        leaks += deployment.cage.look(odd, deployment.ask("GET", odd, **bearer)[2])
    return leaks


def _commands(deployment: Deployment) -> list[str]:
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
    output = deployment.manage(*commands)
    assert all(
        mark in output
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
    ), output
    leaks = deployment.cage.look("what the commands say", output)
    return leaks + [
        leak
        for path in deployment.folder.glob("*.json")
        for leak in deployment.cage.look(path.name, path.read_bytes())
    ]


def _tables(deployment: Deployment) -> list[str]:
    """Read every column of every table, bytes too, and the queue's rows unpacked."""
    leaks = []
    tables = rows(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 30
    for (table,) in tables:
        for (text,) in rows(f"SELECT t::text FROM {table} t"):
            leaks += deployment.cage.look(f"the table {table}", text)
            leaks += [
                leak
                for piece in re.findall(r"\\\\x([0-9a-f]+)", text)
                for leak in deployment.cage.look(
                    f"bytes of the table {table}", bytes.fromhex(piece)
                )
            ]
    for (payload,) in rows("SELECT payload FROM django_q_ormq"):
        data = payload.split(":")[0]
        packed = base64.urlsafe_b64decode(data.lstrip(".") + "=" * (-len(data.lstrip(".")) % 4))
        leaks += deployment.cage.look(
            "a queue row", zlib.decompress(packed) if data.startswith(".") else packed
        )
    return leaks


def _files(deployment: Deployment) -> list[str]:
    """Read all logs: of web, cluster, the log folder and PostgreSQL."""
    logs = [*deployment.folder.glob("*.log"), *(deployment.folder / "logs").iterdir()]
    output = (deployment.folder / "cluster.log").read_bytes()
    assert b" DEBUG " in output or b" INFO " in output
    with deployment.server_log.open("rb") as log:
        log.seek(
            deployment.log_start
            if deployment.server_log.stat().st_size >= deployment.log_start
            else 0
        )  # it may have been begun anew
        leaks = deployment.cage.look("the server's log", log.read())
    return leaks + [
        leak for path in logs for leak in deployment.cage.look(path.name, path.read_bytes())
    ]
