import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import psycopg
import pytest

from orbit_site.management.commands import migrate
from orbit_site.management.commands.migrate import APPEND_ONLY
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.backups import call, create
from tests.support.dead_letters import create_dead_letters
from tests.support.migrations import migrating
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.polling import until
from tests.support.project import PROJECT

pytestmark = pytest.mark.processes

NEW_OF_ORBIT = (
    "0012_seen_marks",
    "0013_roll_up",
    "0014_dead_letter_groups",
    "0015_open_letters_by_cycle",
    "0016_settings_hash",
    "0017_cycles_by_trigger",
    "0018_endpoints_in_use",
    "0019_lean_initiations",
    "0020_outputs_that_are_the_input",
    "0021_record_groups",
    "0022_checked_record_groups",
)


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """The name of an empty database."""
    name = f"orbit_migrate_{os.getpid()}"
    create(server, name)
    yield name
    database.drop(server, name)


def start(server: Server, name: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate", *arguments],
        cwd=PROJECT,
        env={**os.environ, **database.environment(server, name), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_at_once_both_succeed_in_a_schema_of_their_own_and_public_stays_empty(
    server: Server, empty: str
) -> None:
    both = [start(server, empty, ORBIT_DATABASE_SCHEMA="orbit_here") for _ in range(2)]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert sum("No migrations to apply" in text for text in printed) == 1
    with psycopg.connect(server.url("orbit_app", empty)) as app:
        assert app.execute(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname IN ('public', 'orbit_here')"
        ).fetchall() == [("orbit_here",)]
        assert app.execute("SELECT count(*) FROM orbit_here.orbit_cyclerun").fetchone() == (0,)


def test_a_role_that_may_not_make_tables_is_told_how_to_name_one_that_may(
    server: Server, empty: str
) -> None:
    process = start(server, empty, ORBIT_OWNER_DATABASE_URL=server.url("orbit_app", empty))
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 2, printed
    assert (
        "permission denied for schema public. "
        "Name the role that owns the tables in ORBIT_OWNER_DATABASE_URL" in printed
    )
    assert "Traceback" not in printed


def test_the_application_may_work_in_every_table_and_owns_none(
    server: Server, committed: str
) -> None:
    with psycopg.connect(server.url("orbit_app", committed)) as app:
        rows = app.execute(
            """SELECT tablename, tableowner, has_table_privilege(name, 'SELECT, INSERT'),
                has_table_privilege(name, 'UPDATE'), has_table_privilege(name, 'DELETE'),
                has_table_privilege(name, 'TRUNCATE')
            FROM pg_tables, format('%I.%I', schemaname, tablename) AS name
            WHERE schemaname = 'public'"""
        ).fetchall()
    assert {owner for _, owner, *_ in rows} == {"orbit_owner"}
    assert all(reads for _, _, reads, *_ in rows)
    assert not any(row[5] for row in rows)
    for name, _, _, updates, deletes, _ in rows:
        assert (updates, deletes) == (
            (False, False) if name.startswith(APPEND_ONLY) else (True, True)
        ), name


def test_a_partition_that_is_made_later_is_reached_and_cannot_be_changed(
    server: Server, committed: str
) -> None:
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        owner.execute("CREATE TABLE later (id int) PARTITION BY RANGE (id)")
        owner.execute("CREATE TABLE later_1 PARTITION OF later FOR VALUES FROM (0) TO (9)")
    with psycopg.connect(server.url("orbit_app", committed), autocommit=True) as app:
        app.execute("INSERT INTO later VALUES (1)")
        app.execute("INSERT INTO later_1 VALUES (2)")
        assert app.execute("SELECT count(*) FROM later_1").fetchone() == (2,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("UPDATE later_1 SET id = 3")


def test_a_table_that_stays_locked_is_reported(
    server: Server, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "1s")
    with psycopg.connect(server.url("orbit_owner", committed)) as busy:
        busy.execute("LOCK TABLE django_session IN ACCESS SHARE MODE")
        code, output, errors = call(server, committed, "migrate", "sessions", "zero")
        printed = output + errors
        assert code == 1
        assert "What was done before it is kept. Run it again" in printed
        assert "Traceback" not in printed
        assert busy.execute("SELECT count(*) FROM django_session").fetchone() == (0,)


def test_indexes_wait_for_an_old_snapshot_and_only_an_invalid_one_is_built_again(
    server: Server, committed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "100ms")
    for app, last in (("orbit", "0002_records"), ("governance", "0003_workspace_grants")):
        assert call(server, committed, "migrate", app, last, "--skip-checks")[0] == 0
    valid = "SELECT oid FROM pg_class WHERE relname = 'cycle_due_namespace'"
    old = psycopg.connect(server.url("orbit_app", committed))
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        # As a migration leaves them that was interrupted: one is built, the next one isn't.
        owner.execute(
            "CREATE INDEX cycle_due_namespace ON orbit_cyclerun (namespace, next_due_at, id)"
            " WHERE next_due_at IS NOT NULL AND resumes < 2"
        )
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM orbit_cyclerun")
        owner.execute("SET lock_timeout = '100ms'")
        for unfinished in (
            "setting_open ON governance_governancesetting (namespace_id) WHERE NOT halt",
            "cycle_leased ON orbit_cyclerun (namespace) WHERE lease_owner IS NOT NULL",
        ):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                owner.execute(f"CREATE INDEX CONCURRENTLY {unfinished}")
        before = owner.execute(valid).fetchone()
        release = threading.Timer(1.5, old.close)
        release.start()
        code, output, errors = call(server, committed, "migrate", "--skip-checks")
        release.join()
        assert code == 0, output + errors
        assert owner.execute(valid).fetchone() == before
        assert owner.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (
            0,
        )
        for name in ("setting_open", "cycle_leased", "one_cycle_per_call"):
            assert owner.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,), name


def test_a_database_of_an_earlier_checkout_counts_as_migrated(
    server: Server, committed: str
) -> None:
    replaced = [
        (app, name)
        for app in ("governance", "orbit", "telemetry")
        for _, name in import_module(f"{app}.migrations.0001_initial").Migration.replaces
    ]
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        owner.execute(
            "DELETE FROM django_migrations WHERE name = '0001_initial'"
            " AND app IN ('governance', 'orbit', 'telemetry')"
        )
        owner.cursor().executemany(
            "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, now())", replaced
        )
    code, output, errors = call(server, committed, "migrate", "--skip-checks")
    assert code == 0, errors
    assert "No migrations to apply" in output


def test_a_database_with_some_of_the_replaced_migrations_is_refused(
    server: Server, committed: str
) -> None:
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        owner.execute(
            "DELETE FROM django_migrations"
            " WHERE app = 'orbit' AND name IN ('0001_initial', '0009_list_indexes')"
        )
    code, _, errors = call(server, committed, "migrate", "--skip-checks")
    assert code == 2, errors
    assert "lacks migrations that are no longer part of Orbit (orbit.0009_list_indexes)" in errors


def test_indexes_of_events_hold_up_no_writer_while_they_wait_for_another(
    server: Server, committed: str
) -> None:
    assert call(server, committed, "migrate", "telemetry", "0007", "--skip-checks")[0] == 0
    write = (
        "INSERT INTO telemetry_telemetryevent (id, occurred_at, name)"
        " VALUES (gen_random_uuid(), now(), 'decision')"
    )
    with (
        psycopg.connect(server.url("orbit_app", committed)) as long,
        psycopg.connect(server.url("orbit_app", committed), autocommit=True) as writer,
    ):
        long.execute(write)  # and holds the table
        writer.execute("SET statement_timeout = '5s'")
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'ShareLock'"
        with migrating(server, committed) as ended:
            until(lambda: writer.execute(waits).fetchone(), "the migration waits for the table")
            writer.execute(write)
            assert not ended
            long.commit()


def test_migrations_that_were_interrupted_begin_again_with_data(
    server: Server, committed: str, settings: Any
) -> None:
    """Each one not in a transaction is killed before it is recorded; the tables hold rows."""
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    create_dead_letters(3)
    before = "0011_retention"
    assert call(server, committed, "migrate", "orbit", before, "--skip-checks")[0] == 0
    for name in NEW_OF_ORBIT:
        module = import_module(f"orbit.migrations.{name}")
        assert call(server, committed, "migrate", "orbit", name, "--skip-checks")[0] == 0
        if not module.Migration.atomic:
            with psycopg.connect(server.url(SUPERUSER, committed), autocommit=True) as owner:
                owner.execute("DELETE FROM django_migrations WHERE name = %s", [name])
            code, _, errors = call(server, committed, "migrate", "orbit", name, "--skip-checks")
            assert (code, errors) == (0, ""), name
    assert call(server, committed, "makemigrations", "--check", "--dry-run")[0] == 0
    with psycopg.connect(server.url(SUPERUSER, committed)) as owner:
        invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
        assert owner.execute(invalid).fetchall() == []
        groups = "SELECT count(*) FROM orbit_deadletterdispatch WHERE status = 'open'"
        assert owner.execute(groups).fetchone() == (3,)


def test_a_release_that_knows_no_shared_outputs_finds_their_bytes_after_going_back(
    server: Server, committed: str, settings: Any
) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    configure_profiles()
    run_cycle(start_cycle())
    [shared] = rows("SELECT count(*) FROM orbit_transformation WHERE output_is_input")
    assert call(server, committed, "migrate", "orbit", "0019", "--skip-checks")[0] == 0
    same = (
        "SELECT count(*) FROM orbit_transformation t JOIN orbit_cyclerun c ON c.id = t.cycle_id"
        " WHERE t.output = c.input"
    )
    assert rows(same) == [shared]
    assert shared > (0,)
    assert call(server, committed, "migrate", "orbit", "--skip-checks")[0] == 0
    assert rows(same) == [shared]
