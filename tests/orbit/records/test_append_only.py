"""What is on record stays, for the processes' role and for the owner of the tables."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection

from governance.kernel.identifiers import uuid7
from orbit.records import execution
from orbit.records.execution import Record
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support.pipeline import rows

TABLES = [
    "orbit_recordgroup",
    "orbit_cyclecheckpoint",
    "orbit_valueledgerentry",
    "governance_audittrailentry",
]


@pytest.fixture
def owner(server: Server, committed: str) -> psycopg.Connection:
    """A connection that may do all that the tables' owner may, after each of them got a row."""
    execution.write(Record("cycle", "started"), namespace=None)
    connection = psycopg.connect(server.url(SUPERUSER, committed), autocommit=True)
    cycle = uuid7()
    connection.execute(
        "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token) VALUES (%s, "
        "'cycle_started', 1)",
        [cycle],
    )
    connection.execute(
        "INSERT INTO orbit_valueledgerentry (id, cycle_id, namespace, kind, tag, quantity, unit) "
        "VALUES (%s, %s, 'a', 'value', 't', 1, 'x')",
        [cycle, cycle],
    )
    connection.execute(
        "INSERT INTO governance_audittrailentry (id, at, actor, action, reason, object_type, "
        "object_id, request_id, previous_hash, hash)"
        " VALUES (1, now(), 'a', 'b', '', '', '', '', '', '')"
    )
    return connection


@pytest.mark.parametrize("table", TABLES)
def test_the_owner_of_the_tables_cannot_change_a_row(owner: psycopg.Connection, table: str) -> None:
    partitions = [
        row[0]
        for row in owner.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [table],
        )
    ]
    with owner:
        for relation in [table, *partitions[:3]]:
            for sql in (f"TRUNCATE {relation}", f"TRUNCATE {relation} CASCADE"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    owner.execute(sql)
        column = "namespace" if table != "orbit_cyclecheckpoint" else "stage"
        for sql in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            for before in ("SELECT 1", "SET session_replication_role = replica"):
                owner.execute(before)
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    owner.execute(sql)
        assert owner.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


@pytest.mark.django_db
def test_a_record_outside_of_a_cycle_is_in_the_partition_of_its_time() -> None:
    execution.write(Record("cycle", "started", "a\x00b\ud800"), namespace="a")
    assert rows("SELECT partition_key = id, cycle_id, message FROM orbit_executionrecord") == [
        (True, None, "a\ufffdb?")
    ]


def test_a_partition_made_later_is_append_only_too(server: Server, committed: str) -> None:
    with psycopg.connect(server.url("orbit_app", committed), autocommit=True) as app:
        assert app.execute(
            "SELECT orbit_ensure_partitions('2031-01-01', '2031-02-01')"
        ).fetchone() == (4,)
    with psycopg.connect(server.url(SUPERUSER, committed), autocommit=True) as owner:
        for relation in ("orbit_recordgroup_p203101", "orbit_cyclecheckpoint_p203102"):
            owner.execute("SET session_replication_role = replica")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute(f"TRUNCATE {relation}")


@pytest.mark.usefixtures("committed")
def test_processes_that_make_partitions_at_once_do_not_collide() -> None:
    def make(_: int) -> int:
        try:
            return int(rows("SELECT orbit_ensure_partitions('2032-01-01', '2032-12-01')")[0][0])
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(make, range(6))) == 24
