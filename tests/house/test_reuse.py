"""A database that tests use one after another is as new for each."""

import os

import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.reuse import Pool

NAME = f"orbit_reused_{os.getpid()}"
# An append-only table, one that others refer to, and one that is never empty.
WRITES = (
    """INSERT INTO governance_audittrailentry (id, at, actor, action, object_type, object_id,
        reason, request_id, previous_hash, hash)
        SELECT n, now(), '', '', '', '', repeat(md5(n::text), 20), '', '', n
        FROM generate_series(1, %s) AS n""",
    """INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name,
        last_name, email, date_joined)
        SELECT n, '', false, false, true, '', '', '', now() FROM generate_series(1, %s) AS n""",
    "UPDATE governance_namespace SET name = md5(%s::text)",
)
STATE = """SELECT relname, pg_relation_size(oid), relpages, reltuples,
        (SELECT last_value FROM pg_sequences WHERE sequencename = relname)
        FROM pg_class WHERE relkind IN ('r', 'S') AND oid >= 16384 ORDER BY 1"""


@pytest.mark.parametrize("rows", [3, 3000])
def test_a_used_database_is_as_new(server: Server, rows: int) -> None:
    pool = Pool(server, database.template(server))
    pool.take(NAME)
    with pool._connection(NAME) as connection:
        before = _state(connection)
        for statement in WRITES:
            connection.execute(statement, [rows])
        connection.execute("ANALYZE orbit_cyclerun")
        connection.execute("TRUNCATE auth_group CASCADE")
    pool.give(NAME)
    pool.take(NAME)
    with pool._connection(NAME) as connection:
        assert _state(connection) == before
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute("TRUNCATE governance_audittrailentry")
    pool.close()
    database.drop_one(server, NAME)


def test_a_database_with_another_structure_is_dropped(server: Server) -> None:
    pool = Pool(server, database.template(server))
    pool.take(NAME)
    with pool._connection(NAME) as connection:
        connection.execute("CREATE INDEX another ON auth_user (email)")
    pool.give(NAME)
    pool.take(NAME)
    with pool._connection(NAME) as connection:
        assert connection.execute("SELECT to_regclass('another')").fetchone() == (None,)
    pool.close()
    database.drop_one(server, NAME)


def _state(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    connection.execute("SET session_replication_role = replica")
    contents = [
        row
        for table in ("governance_namespace", "auth_group")
        for row in connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    ]
    oid = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", [NAME]).fetchall()
    return [*oid, *contents, *connection.execute(STATE).fetchall()]
