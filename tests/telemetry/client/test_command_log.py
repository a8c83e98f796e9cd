"""Orbit's own commands report their start and their end."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.polling import until
from tests.support.project import PROJECT

# In the other set-up, events of commands reach telemetry by the outbox.
pytestmark = [pytest.mark.processes, pytest.mark.one_database]

#: Of each command: what it reported, as (command, success, exit code).
ENDS = """
SELECT metadata ->> 'command', metadata -> 'success', metadata -> 'exit_code'
FROM telemetry_telemetryevent WHERE name = 'command_end' ORDER BY occurred_at
"""
STARTS = "SELECT count(*) FROM telemetry_telemetryevent WHERE name = 'command_start'"


def start(server: Server, name: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env={**os.environ, **database.environment(server, name), **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(server: Server, name: str, *arguments: str, **more: str) -> tuple[int, str, str]:
    process = start(server, name, *arguments, **more)
    printed, errors = process.communicate(timeout=120)
    return process.returncode, printed, errors


@pytest.fixture
def events(server: Server, committed: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url("orbit_app", committed), autocommit=True) as connection:
        yield connection


def test_each_command_reports_how_it_ended_but_not_its_arguments(
    server: Server, committed: str, events: psycopg.Connection
) -> None:
    assert run(server, committed, "operations", "--json")[0] == 0
    assert run(server, committed, "why", "hush-hush")[0] != 0
    killed = start(server, committed, "shell")
    until(lambda: events.execute(STARTS).fetchone() == (3,), "the shell doesn't report its start")
    killed.terminate()
    killed.communicate(timeout=60)
    (first, second, third) = events.execute(ENDS).fetchall()
    assert first == ("operations", True, 0)
    assert second[:2] == ("why", False)
    assert third == ("shell", False, 143)
    rows = events.execute("SELECT t::text FROM telemetry_telemetryevent t").fetchall()
    assert "hush" not in str(rows)
    assert events.execute(
        "SELECT count(*) FROM telemetry_telemetryevent"
        " WHERE name = 'command_end' AND duration_ms > 0 AND session_id LIKE 'orbit:%'"
    ).fetchone() == (3,)


def test_help_checks_and_typing_errors_are_no_commands_on_the_database(
    server: Server, committed: str, events: psycopg.Connection
) -> None:
    run(server, committed, "operations", "--help")
    run(server, committed, "check")
    run(server, committed, "no-such-command")
    run(server, committed, "makemigrations", "--check", "--dry-run")
    assert events.execute(STARTS).fetchone() == (0,)


def test_a_read_only_database_says_what_it_always_said(
    server: Server, committed: str, events: psycopg.Connection
) -> None:
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {committed} SET default_transaction_read_only = on")
    code, _, errors = run(server, committed, "operations", "--json")
    assert code == 0
    assert "read-only" not in errors


def test_tables_that_are_not_there_yet_or_are_locked_are_no_reason_to_fail(
    server: Server, committed: str, events: psycopg.Connection
) -> None:
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        owner.execute("LOCK TABLE telemetry_telemetryevent IN ACCESS EXCLUSIVE MODE")
        assert run(server, committed, "operations")[0] == 0
    assert events.execute(STARTS).fetchone() == (0,)
