"""The embedded server's roles: neither is a superuser, also in data of an older release."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from orbit_site.processes import pg_paths, pg_programs, pg_roles, postgres
from tests.support import project

QUICK = {"fsync": "off", "shared_buffers": "16MB"}
pytestmark = pytest.mark.processes
#: The second: the extension isn't there.
FORBIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.NotSupportedError)
REFUSED = (
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/orbit-copy'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "LOAD '/tmp/library.so'",
    "CREATE FUNCTION own() RETURNS int LANGUAGE c AS '/tmp/library.so'",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "SET session_replication_role = replica",
    "SET log_min_messages = debug5",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "CREATE ROLE another SUPERUSER",
    "SET ROLE orbit_superuser",
    "CREATE EXTENSION file_fdw",
)
#: As the first releases made their data: orbit_owner is initdb's superuser.
OLD_TABLES = """
CREATE SCHEMA own;
CREATE TABLE own.letter (
    id serial PRIMARY KEY, at date NOT NULL, n int GENERATED ALWAYS AS IDENTITY
) PARTITION BY RANGE (id);
CREATE TABLE own.letter_1 PARTITION OF own.letter FOR VALUES FROM (1) TO (100);
CREATE VIEW own.letters AS SELECT id FROM own.letter;
CREATE TYPE own.mood AS ENUM ('well');
CREATE DOMAIN own.name AS text;
CREATE STATISTICS own.both (dependencies) ON id, at FROM own.letter_1;
CREATE FUNCTION own.double(value int) RETURNS int LANGUAGE sql SECURITY DEFINER
    AS 'SELECT 2 * value';
CREATE FUNCTION own.refuse() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RAISE insufficient_privilege; END';
CREATE TRIGGER only_added BEFORE DELETE ON own.letter FOR EACH ROW EXECUTE FUNCTION own.refuse();
GRANT USAGE ON SCHEMA own TO orbit_app;
GRANT SELECT, INSERT ON own.letter TO orbit_app;
GRANT USAGE ON SEQUENCE own.letter_id_seq TO orbit_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA own GRANT SELECT ON TABLES TO orbit_app;
INSERT INTO own.letter (at) VALUES ('2026-01-31');
"""
#: What still belongs to the superuser.
LEFT = """
SELECT relname FROM pg_class
WHERE relowner = 10 AND relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspowner = 10)
UNION ALL SELECT proname FROM pg_proc WHERE proowner = 10 AND pronamespace = 'own'::regnamespace
UNION ALL SELECT typname FROM pg_type WHERE typowner = 10 AND typnamespace = 'own'::regnamespace
UNION ALL SELECT stxname FROM pg_statistic_ext WHERE stxowner = 10
UNION ALL SELECT datname FROM pg_database WHERE datname = 'orbit' AND datdba = 10
UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'own' AND nspowner = 10
"""


def connect(base: Path, role: str) -> psycopg.Connection:
    return psycopg.connect(postgres.locate(base).url(role), autocommit=True)


@pytest.fixture(scope="module")
def old_data() -> Iterator[Path]:
    """The data folder of an older release, with tables."""
    with project.open_folder() as folder:
        data, runner = folder / "old", pg_paths.account(folder)
        programs = pg_paths.programs(runner)
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(data, runner.uid, runner.gid)
        pg_programs.initialize(
            programs, data, runner, "--username=orbit_owner", "--no-sync", "--encoding=UTF8"
        )
        first = "CREATE ROLE orbit_app LOGIN;\n\nCREATE DATABASE orbit OWNER orbit_owner;\n\n"
        pg_programs.single_user(programs, data, runner, first)
        tables = OLD_TABLES.strip() + "\n\n"
        pg_programs.single_user(programs, data, runner, tables, database="orbit")
        with (data / "postgresql.conf").open("a") as file:
            file.write("include_if_exists = 'orbit.conf'\n")
        yield data


@pytest.fixture
def old(folder: Path, old_data: Path) -> Path:
    """A folder with data of an older release."""
    base = folder / "var"
    base.mkdir(mode=0o755)
    subprocess.run(["cp", "-a", old_data, postgres.locate(base).data], check=True)
    return base


def look(base: Path) -> None:
    """Check that Orbit's roles can do all they need in the converted data, and no more."""
    with connect(base, "orbit_owner") as owner, connect(base, "orbit_app") as app:
        for role in (owner, app):
            assert role.execute(
                "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
                " FROM pg_roles WHERE rolname = current_user"
            ).fetchone() == (False,)
        assert owner.execute(LEFT).fetchall() == []
        app.execute("INSERT INTO own.letter (at) VALUES ('2026-02-01')")
        assert app.execute("SELECT count(*), own.double(2) FROM own.letter").fetchone() == (2, 4)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("DELETE FROM own.letter")
        owner.execute("CREATE TABLE own.later AS SELECT 1 AS one")
        assert app.execute("SELECT one FROM own.later").fetchone() == (1,)
        owner.execute("CREATE TABLE public.another (id int)")


def test_the_owner_of_an_older_installation_loses_the_superuser_and_keeps_its_tables(
    old: Path,
) -> None:
    assert postgres.ensure(old, settings=QUICK)
    look(old)
    postgres.stop(old)
    assert postgres.ensure(old, settings=QUICK)  # nothing is left to convert


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_conversion_that_a_crash_ended_goes_on_at_the_next_start(
    old: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    steps = iter(range(step))
    run = pg_programs.single_user

    def crash(*arguments: object, **options: object) -> str:
        output = run(*arguments, **options)  # type: ignore[arg-type]
        if next(steps, None) == step - 1:
            raise KeyboardInterrupt
        return output

    with monkeypatch.context() as patched:
        patched.setattr(pg_programs, "single_user", crash)
        with pytest.raises(KeyboardInterrupt):
            postgres.ensure(old, settings=QUICK)
    assert postgres.ensure(old, settings=QUICK)
    look(old)


def test_no_role_of_orbit_reads_files_starts_programs_or_changes_the_server(folder: Path) -> None:
    postgres.ensure(folder, settings=QUICK)
    for role in pg_roles.ROLES:
        with connect(folder, role) as connection:
            for statement in REFUSED:
                with pytest.raises(
                    (psycopg.errors.InsufficientPrivilege, psycopg.NotSupportedError)
                ):
                    connection.execute(statement)
    with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
        connect(folder, pg_roles.SUPERUSER)


def test_the_server_s_log_is_private_and_holds_no_value_of_a_statement(folder: Path) -> None:
    postgres.ensure(folder / "var", settings=QUICK)
    postgres.stop(folder / "var")
    log = folder / "var" / "postgres.log"
    log.chmod(0o644)  # as an older release left it
    postgres.ensure(folder / "var", settings=QUICK)
    assert log.stat().st_mode & 0o777 == 0o600
    assert (folder / "var").stat().st_mode & 0o777 == 0o700
    failing: tuple[tuple[str, list[object]], ...] = (
        ("INSERT INTO letter VALUES ('secret-1', 1)", []),
        ("INSERT INTO letter VALUES ('secret-1', 1)", []),
        ("INSERT INTO letter VALUES (%s, 1)", ["secret-1"]),
        ("INSERT INTO letter VALUES (%s, -1)", ["secret-2"]),
        ("SELECT 'secret-3'::int", []),
        ("SELECT %s::text::date", ["secret-4"]),
        ("DO $$ BEGIN RAISE EXCEPTION 'secret-5'; END $$", []),
    )
    with connect(folder / "var", "orbit_owner") as owner:
        owner.execute("CREATE TABLE letter (name text UNIQUE, size int CHECK (size > 0))")
        failed = 0
        for statement, values in failing:
            try:
                owner.execute(statement, values)
            except psycopg.Error as error:
                failed += "secret" in str(error)
    assert failed == len(failing) - 1
    assert "secret" not in log.read_text()
    assert "ready to accept connections" in log.read_text()
