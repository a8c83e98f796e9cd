"""Sessions set what the statements depend on; the defaults of a database or role don't matter."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection, connections

from orbit_site.processes import maintenance, supervisor, web
from orbit_site.processes.listener import Listener
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from orbit_site.settings import framework
from tests.support import database
from tests.support.backups import create, run

HOSTILE = {
    "search_path": "nowhere",
    "statement_timeout": "'20ms'",
    "lock_timeout": "'1ms'",
    "idle_session_timeout": "'5s'",  # pg_dump sets it too late
    "idle_in_transaction_session_timeout": "'1ms'",
    "timezone": "'Asia/Kathmandu'",
    "datestyle": "'German'",
    "intervalstyle": "'sql_standard'",
    "bytea_output": "'escape'",
    "client_encoding": "'LATIN1'",
    "default_transaction_isolation": "'serializable'",
    "default_transaction_deferrable": "on",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "extra_float_digits": "-15",
    "row_security": "off",
}
OPTIONS = "options=-c%20lock_timeout%3D5s"
UNHURRIED = (
    "-c search_path=orb -c statement_timeout=0 -c lock_timeout=0 "
    "-c idle_in_transaction_session_timeout=0"
)
EXPECTED = {
    "search_path": "orb",
    "lock_timeout": "5s",
    "idle_session_timeout": "0",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "extra_float_digits": "1",
    "row_security": "on",
}


def spoil(server: Server, name: str) -> None:
    """Give the database defaults that would break statements."""
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as owner:
        for setting, value in HOSTILE.items():
            owner.execute(f"ALTER DATABASE {name} SET {setting} = {value}")


@pytest.fixture
def spoilt(server: Server) -> Iterator[list[str]]:
    """The names of two empty databases with such defaults."""
    databases = [f"orbit_spoilt_{number}_{os.getpid()}" for number in (1, 2)]
    for name in databases:
        create(server, name)
        spoil(server, name)
    yield databases
    for name in databases:
        database.drop(server, name)


def shown(connection: "psycopg.Connection[tuple[str]]") -> dict[str, str]:
    rows = {name: connection.execute(f"SHOW {name}").fetchone() for name in EXPECTED}
    return {name: row[0] for name, row in rows.items() if row}


@pytest.mark.parametrize("role", ["orbit_app", "orbit_owner"])
def test_each_kind_of_process_has_its_sessions_as_it_needs_them(
    server: Server, spoilt: list[str], role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framework.env, "ORBIT_DATABASE_SCHEMA", "orb")
    url = f"{server.url(role, spoilt[0])}&{OPTIONS}"
    config = framework._database(url, "DATABASE_URL", statement_seconds=60, idle_seconds=5)
    ours = config["OPTIONS"]["options"]
    theirs = framework.database_urls.parse(url, "DATABASE_URL")["OPTIONS"]["options"]
    kinds = {
        "a command": (ours, EXPECTED),
        "web": (f"{ours} {web.LIMITS} {theirs}", EXPECTED),
        "worker": (ours + supervisor.BY_INDEX, EXPECTED),
        # It gives way to everybody.
        "maintenance": (
            ours + supervisor.BY_INDEX + maintenance.LOCK_TIMEOUT,
            EXPECTED | {"lock_timeout": maintenance.LOCK_TIMEOUT.rpartition("=")[2]},
        ),
    }
    for kind, (options, expected) in kinds.items():
        settings = {**connections["default"].settings_dict, **config}
        settings["OPTIONS"] = {**config["OPTIONS"], "options": options}
        monkeypatch.setattr(connections["default"], "settings_dict", settings)
        with psycopg.connect(**connection.get_connection_params()) as session:
            assert shown(session) == expected, kind
    listener = Listener("orbit_test")
    try:
        assert shown(listener.open())["search_path"] == "orb"
    finally:
        listener.close()


@pytest.mark.processes
def test_tables_land_in_the_schema_and_survive_a_backup_whatever_the_defaults(
    server: Server, spoilt: list[str], tmp_path: Path
) -> None:
    def manage(name: str, *arguments: str) -> None:
        urls = {
            variable: f"{server.url(role, name)}&{OPTIONS}"
            for variable, role in (
                ("DATABASE_URL", "orbit_app"),
                ("ORBIT_OWNER_DATABASE_URL", "orbit_owner"),
            )
        }
        done = run(
            server,
            name,
            *arguments,
            ORBIT_DATABASE_SCHEMA="orb",
            ORBIT_PASSWORD="a-word-of-a-test",
            **urls,
        )
        assert done[0] == 0, done

    first, second = spoilt
    file = str(tmp_path / "a.backup")
    manage(first, "migrate", "--verbosity", "0")
    manage(first, "user", "create", "grüße", "--role", "viewer", "--if-missing")
    manage(first, "backup", file)
    manage(second, "restore", file)
    for name in spoilt:
        with psycopg.connect(server.url("orbit_owner", name), options=UNHURRIED) as owner:
            assert owner.execute(
                "SELECT DISTINCT schemaname FROM pg_tables "
                "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall() == [("orb",)]
            assert owner.execute("SELECT username FROM auth_user").fetchall() == [("grüße",)]


@pytest.mark.processes
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused_before_anything_is_written(
    server: Server, encoding: str
) -> None:
    name = f"orbit_encoding_{os.getpid()}"
    database.drop(server, name)
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as owner:
        owner.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 "
            "LOCALE_PROVIDER libc LOCALE 'C'"
        )
    try:
        code, _, errors = run(server, name, "migrate")
        assert (code, errors.count("\n")) == (2, 1), errors
        assert f"The encoding of the database '{name}' is {encoding}" in errors
        assert "ENCODING 'UTF8' TEMPLATE template0" in errors
        with psycopg.connect(server.url("orbit_owner", name)) as owner:
            assert owner.execute(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone() == (0,)
    finally:
        database.drop(server, name)


@pytest.mark.processes
def test_a_database_that_is_read_only_by_default_is_named(server: Server) -> None:
    name = f"orbit_read_only_{os.getpid()}"
    create(server, name)
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        code, _, errors = run(server, name, "migrate", "--verbosity", "0")
        assert (code, errors.count("\n")) == (2, 1), errors
        assert f"The database '{name}' at " in errors
        assert "default_transaction_read_only is on" in errors
    finally:
        database.drop(server, name)
