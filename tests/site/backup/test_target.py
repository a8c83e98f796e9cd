"""Restores go to empty installations only."""

from pathlib import Path

import psycopg
import pytest

from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.backups import call, catalog, is_empty, rows
from tests.support.clusters import cluster
from tests.support.polling import until

pytestmark = pytest.mark.processes


def test_an_installation_that_was_used_is_not_mixed_with_another(
    server: Server, used: str, backup: Path
) -> None:
    before = rows(server, used, "SELECT count(*) FROM governance_audittrailentry")
    code, _, errors = call(server, used, "restore", str(backup))
    assert code == 4
    assert (
        "it has entries on the audit trail, cycles, users, profiles, namespaces. "
        "Restore to an empty database" in errors
    )
    assert rows(server, used, "SELECT count(*) FROM governance_audittrailentry") == before


def test_one_that_was_only_migrated_makes_room(
    server: Server, used: str, backup: Path, elsewhere: str
) -> None:
    database.clone(server, elsewhere)
    code, _, errors = call(server, elsewhere, "restore", str(backup))
    assert code == 0, errors
    assert catalog(server, elsewhere) == catalog(server, used)
    query = "SELECT external_id FROM governance_namespace ORDER BY name"
    assert rows(server, elsewhere, query) == rows(server, used, query)


def test_a_restore_that_fails_leaves_one_that_was_only_migrated_as_it_was(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    database.clone(server, elsewhere)
    before = catalog(server, elsewhere)
    with psycopg.connect(server.url(SUPERUSER, elsewhere)) as owner:
        owner.execute(
            "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE EXCEPTION 'no index here'; END $$"
        )
        owner.execute(
            "CREATE EVENT TRIGGER refuse ON ddl_command_start "
            "WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION refuse()"
        )
    code, _, errors = call(server, elsewhere, "restore", str(a_backup))
    assert code == 7
    assert "The database refuses: no index here" in errors
    assert "Traceback" not in errors
    with psycopg.connect(server.url(SUPERUSER, elsewhere)) as owner:
        owner.execute("DROP EVENT TRIGGER refuse; DROP FUNCTION refuse()")
    assert catalog(server, elsewhere) == before


def test_other_peoples_tables_of_the_same_names_stay(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    with psycopg.connect(server.url("orbit_owner", elsewhere)) as owner:
        owner.execute("CREATE TABLE auth_user (name text); INSERT INTO auth_user VALUES ('theirs')")
    code, _, errors = call(server, elsewhere, "restore", str(a_backup))
    assert code == 4
    assert "has no Orbit, but tables with the same names (auth_user)" in errors
    assert rows(server, elsewhere, "SELECT name FROM auth_user") == [("theirs",)]


def test_other_tables_beside_it_are_no_hindrance_and_stay(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    with psycopg.connect(server.url("orbit_owner", elsewhere)) as owner:
        owner.execute("CREATE TABLE theirs (name text); INSERT INTO theirs VALUES ('theirs')")
    code, _, errors = call(server, elsewhere, "restore", str(a_backup))
    assert code == 0, errors
    assert rows(server, elsewhere, "SELECT name FROM theirs") == [("theirs",)]


def test_no_restore_under_a_living_cluster(
    server: Server, a_backup: Path, elsewhere: str, tmp_path: Path
) -> None:
    database.clone(server, elsewhere)
    with cluster(server, elsewhere, tmp_path) as running:
        until(
            lambda: (
                running.process.poll() is not None
                or rows(server, elsewhere, "SELECT 1 FROM orbit_clusternode")
            ),
            "no cluster is there",
        )
        assert running.process.poll() is None
        code, _, errors = call(server, elsewhere, "restore", str(a_backup))
    assert code == 4
    assert "A cluster is alive on this database" in errors


def test_a_role_that_may_not_make_tables_is_told_how_to_name_one_that_may(
    server: Server, a_backup: Path, elsewhere: str
) -> None:
    code, _, errors = call(server, elsewhere, "restore", str(a_backup), owner="orbit_app")
    assert code == 7
    assert "permission denied" in errors
    assert "ORBIT_OWNER_DATABASE_URL" in errors
    assert is_empty(server, elsewhere)
