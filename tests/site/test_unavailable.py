"""A database that can't write now is a 503 for every caller, and no caller sees a traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from governance.models import GovernanceSetting
from governance.namespaces import registry
from orbit.models import AppliedFiles
from orbit_site import health
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.callers import Api, api, create_user, problem
from tests.support.project import PROJECT
from tests.support.read_only import read_only, set_read_only

HALT = ("POST", "/governance/namespaces/eu/halt", {"reason": "a fire"})
CALLS = [
    ("GET", "/cycles", None),
    ("GET", "/api/schema", None),
    ("GET", "/governance/pause", None),
    HALT,
    ("POST", "/cycles/trigger", {"namespace": "eu"}),
    ("POST", "/governance/namespaces/eu/resume", {"reason": "over"}),
]
PAGES = ["/admin/orbit/cyclerun/", "/admin/governance/namespace/"]


@pytest.fixture
def operator(committed: str) -> tuple[User, Api]:
    registry.ensure(["eu"])
    AppliedFiles.objects.update(sha256="0" * 64)
    user = create_user(role="Administrator")
    return user, api(user)


@pytest.fixture
def browser(operator: tuple[User, Api]) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(operator[0])
    return client


def call(caller: Api, method: str, path: str, body: Any) -> Any:
    return caller.send(method, path, b"" if body is None else body)


def test_on_a_read_only_server_every_call_is_a_503_and_afterwards_works_at_once(
    operator: tuple[User, Api],
    browser: Client,
    committed: str,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, caller = operator
    monkeypatch.setattr(health, "probe", health.Probe())
    assert caller.get("/ready").status_code == 200
    with read_only(server, committed):
        for method, path, body in CALLS:
            answer = call(caller, method, path, body)
            problem(answer, 503, "database_unavailable")
            assert "read-only" in answer.json()["detail"]
            assert int(answer.headers["Retry-After"]) > 0
        login = {"username": "ann", "password": "a-long-password-1"}
        page = Client(raise_request_exception=False).post("/admin/login/", login)
        assert (page.status_code, b"read-only" in page.content) == (503, True)
        assert page.headers["Retry-After"]
        pause = browser.post("/admin/pause/", {"reason": "a fire", "confirm": "yes"})
        assert pause.status_code == 503
        ready = caller.get("/ready")
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "ok")
        assert ready.json()["checks"]["writable"] == "failed"
        assert caller.get("/health").status_code == 200
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert call(caller, *HALT).status_code == 200
    assert caller.get("/ready").status_code == 200
    for path in PAGES:
        assert browser.get(path).status_code == 200


def test_a_session_that_became_read_only_is_dropped_so_that_the_next_call_gets_another(
    operator: tuple[User, Api],
) -> None:
    _, caller = operator
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    problem(call(caller, *HALT), 503, "database_unavailable")
    assert call(caller, *HALT).status_code == 200
    assert GovernanceSetting.objects.get(namespace__name="eu").halt


@pytest.fixture
def locks(operator: tuple[User, Api], committed: str, server: Server) -> Iterator[None]:
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        owner.execute("LOCK TABLE orbit_cyclerun IN ACCESS EXCLUSIVE MODE")
        yield
    connection.close()


@pytest.mark.usefixtures("locks")
@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
def test_a_statement_that_takes_too_long_is_a_503(
    operator: tuple[User, Api], browser: Client, limit: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {limit} = '100ms'")
    answer = operator[1].get("/cycles")
    problem(answer, 503, "database_unavailable")
    assert "in time" in answer.json()["detail"]
    assert answer.headers["Retry-After"]
    page = browser.get("/admin/orbit/cyclerun/")
    assert (page.status_code, b"in time" in page.content) == (503, True)
    assert page.headers["Retry-After"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["halt", "eu", "--reason", "a fire"],
        ["trigger", "--namespace", "eu"],
        ["user", "create", "eve", "--role", "viewer"],
        ["cluster"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.processes
def test_a_command_says_that_the_database_is_read_only(
    committed: str, server: Server, arguments: list[str]
) -> None:
    set_read_only(server, committed, on=True)
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env={
                **os.environ,
                **database.environment(server, committed),
                "ORBIT_PASSWORD": "x" * 20,
            },
            capture_output=True,
            text=True,
            check=False,
            input="",
        )
    finally:
        set_read_only(server, committed, on=False)
        connection.close()
    # A process that can't start is refused; a command says that it may be repeated.
    code = 2 if arguments == ["cluster"] else 7
    assert (done.returncode, "is read-only" in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    # A command adds what the server says.
    assert done.stderr.count("\n") == (1 if arguments == ["cluster"] else 2)
