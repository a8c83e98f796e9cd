"""Telemetry's own database is migrated with the main one."""

import os
from collections.abc import Iterator

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.backups import create, run

pytestmark = pytest.mark.processes
TABLES = "SELECT count(*), bool_and(tablename ~ '^(telemetry_|django_migrations)') FROM pg_tables"


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """The name of an empty database, with one for telemetry beside it."""
    name = f"orbit_second_{os.getpid()}"
    create(server, name)
    create(server, database.second(name))
    yield name
    database.drop_one(server, name)
    database.drop_one(server, database.second(name))


def migrate(server: Server, name: str, *arguments: str, url: str) -> tuple[int, str]:
    code, output, errors = run(
        server, name, "migrate", *arguments, ORBIT_TELEMETRY_DATABASE_URL=url
    )
    return code, output + errors


def test_one_migrate_makes_telemetrys_tables_in_both_and_no_others_in_the_second(
    server: Server, empty: str
) -> None:
    url = server.url("orbit_owner", database.second(empty))
    assert migrate(server, empty, url=url)[0] == 0
    with psycopg.connect(url) as second:
        count, only_telemetry = second.execute(
            f"{TABLES} WHERE schemaname = 'public'"
        ).fetchone() or (0, False)
        assert count > 10
        assert only_telemetry
    with psycopg.connect(url) as second:
        second.execute(
            "DELETE FROM django_migrations WHERE name = (SELECT max(name) FROM django_migrations)"
        )
    assert migrate(server, empty, "--check", url=url)[0] == 1


def test_the_main_database_is_migrated_even_if_telemetrys_is_away(
    server: Server, empty: str
) -> None:
    url = f"postgresql://u:hush@127.0.0.1:1/{database.second(empty)}"
    code, printed = migrate(server, empty, url=url)
    assert code != 0
    assert "The main database is migrated, telemetry's own is not: " in printed
    assert "hush" not in printed
    assert "Traceback" not in printed
    with psycopg.connect(server.url("orbit_app", empty)) as main:
        assert main.execute("SELECT count(*) FROM telemetry_outboxevent").fetchone() == (0,)


def test_the_main_database_under_another_name_is_refused(server: Server, empty: str) -> None:
    url = f"postgresql://orbit_owner@/{empty}?host={server.host}/."
    code, printed = migrate(server, empty, url=url)
    assert code == 2, printed
    assert "ORBIT_TELEMETRY_DATABASE_URL leads to the database of DATABASE_URL." in printed
