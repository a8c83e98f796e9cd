"""The migration to groups of records, beside what uses the table."""

from typing import Any

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support.backups import call
from tests.support.migrations import migrating
from tests.support.pipeline import (
    configure_endpoints,
    configure_profiles,
    rows,
    run_cycle,
    start_cycle,
)
from tests.support.polling import until

pytestmark = pytest.mark.processes


def test_a_release_that_knows_no_groups_finds_each_record_after_going_back(
    server: Server, committed: str, settings: Any
) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")
    configure_profiles()
    cycle = run_cycle(start_cycle())
    records = "SELECT r::text FROM orbit_executionrecord r WHERE cycle_id = %s ORDER BY id"
    before, groups = rows(records, cycle.pk), rows("SELECT id FROM orbit_recordgroup")
    names = "SELECT oid::regclass::text FROM pg_class WHERE relname ~ 'orbit_recordgroup'"
    assert len(before) > 20 > len(groups)
    assert call(server, committed, "migrate", "orbit", "0020", "--skip-checks")[0] == 0
    assert (rows(records, cycle.pk), rows(names)) == (before, [])
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        for change in ("DELETE FROM orbit_executionrecord", "TRUNCATE orbit_executionrecord"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                owner.execute(change)
    assert call(server, committed, "migrate", "orbit", "--skip-checks")[0] == 0
    assert rows(records, cycle.pk) == before
    assert rows("SELECT relname FROM pg_class WHERE relname ~ 'orbit_executionrecord'") == [
        ("orbit_executionrecord",)
    ]


def test_roles_of_others_read_the_same_records_under_the_same_name(
    server: Server, committed: str
) -> None:
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:

        def rights() -> tuple[bool, ...]:
            row = owner.execute(
                "SELECT has_table_privilege('pg_monitor', name, 'SELECT WITH GRANT OPTION'),"
                " has_table_privilege('pg_signal_backend', name, 'SELECT'),"
                " has_column_privilege('pg_signal_backend', name, 'event', 'SELECT')"
                " FROM (VALUES ('orbit_executionrecord')) AS t(name)"
            ).fetchone()
            assert row is not None
            return row

        assert call(server, committed, "migrate", "orbit", "0020", "--skip-checks")[0] == 0
        owner.execute("GRANT SELECT ON orbit_executionrecord TO pg_monitor WITH GRANT OPTION")
        assert call(server, committed, "migrate", "orbit", "--skip-checks")[0] == 0
        assert rights() == (True, False, False)
        owner.execute("GRANT SELECT (event) ON orbit_executionrecord TO pg_signal_backend")
        assert call(server, committed, "migrate", "orbit", "0020", "--skip-checks")[0] == 0
        assert rights() == (True, False, True)
        assert call(server, committed, "migrate", "orbit", "--skip-checks")[0] == 0
        assert rights() == (True, False, True)


def test_a_partition_of_others_keeps_its_name(server: Server, committed: str) -> None:
    assert call(server, committed, "migrate", "orbit", "0020", "--skip-checks")[0] == 0
    with psycopg.connect(server.url("orbit_owner", committed)) as owner:
        owner.execute("CREATE TABLE older (LIKE orbit_executionrecord INCLUDING ALL)")
        owner.execute(
            "ALTER TABLE orbit_executionrecord ATTACH PARTITION older"
            " FOR VALUES FROM ('00000000-0000-0000-0000-000000000000')"
            " TO ('00000000-0000-0000-0000-000000000001')"
        )
    for release in ((), ("0020",), ()):
        assert call(server, committed, "migrate", "orbit", *release, "--skip-checks")[0] == 0
    assert rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhrelid = %s::regclass"
        " AND inhparent = 'orbit_recordgroup'::regclass",
        "older",
    ) == [("older",)]


def test_a_view_of_others_that_would_read_groups_as_records_is_refused(
    server: Server, committed: str
) -> None:
    assert call(server, committed, "migrate", "orbit", "0020", "--skip-checks")[0] == 0
    with psycopg.connect(server.url("orbit_owner", committed), autocommit=True) as owner:
        owner.execute("CREATE VIEW mine AS SELECT event FROM orbit_executionrecord")
        code, output, errors = call(server, committed, "migrate", "--skip-checks")
        assert (code, "views of yours read the table: mine" in output + errors) == (1, True)
        assert "Traceback" not in output + errors
        owner.execute("DROP VIEW mine")
    assert call(server, committed, "migrate", "--skip-checks")[0] == 0


def test_groups_of_records_hold_up_no_writer_while_they_wait_for_a_backup(
    server: Server, committed: str
) -> None:
    assert call(server, committed, "migrate", "orbit", "0020", "--skip-checks")[0] == 0
    write = (
        "INSERT INTO orbit_executionrecord (id, partition_key, stage, event)"
        " SELECT id, id, 's', 'e' FROM gen_random_uuid() AS id"
    )
    with (
        psycopg.connect(server.url("orbit_owner", committed)) as dump,
        psycopg.connect(server.url("orbit_app", committed), autocommit=True) as writer,
    ):
        dump.execute("LOCK TABLE orbit_executionrecord IN ACCESS SHARE MODE")
        writer.execute("SET statement_timeout = '5s'")
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        with migrating(server, committed) as ended:
            until(lambda: writer.execute(waits).fetchone(), "the migration waits for the table")
            writer.execute(write)
            assert not ended
            dump.rollback()
        writer.execute(write)  # the view's
        assert writer.execute("SELECT count(*) FROM orbit_recordgroup").fetchone() == (2,)


def test_groups_of_records_wait_until_an_autovacuum_gives_way(
    server: Server, committed: str
) -> None:
    assert call(server, committed, "migrate", "orbit", "0020", "--skip-checks")[0] == 0
    # The server has none: a session that locks as it does. It ends one after deadlock_timeout, 1 s.
    waits = (
        "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
        " AND clock_timestamp() - waitstart > interval '1.1 s'"
    )
    with psycopg.connect(server.url("orbit_owner", committed)) as vacuum:
        vacuum.execute("LOCK TABLE orbit_executionrecord_default IN SHARE UPDATE EXCLUSIVE MODE")
        with migrating(server, committed):
            until(lambda: vacuum.execute(waits).fetchone(), "the migration waits too shortly")
            vacuum.rollback()
