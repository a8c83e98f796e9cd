"""Databases for tests that commit: one per test process, emptied after a test.

Copying a database costs half a second of CPU, emptying it a twentieth: TRUNCATE makes new files for
each table, its indexes and all tables that refer to it, so that small tables are emptied by DELETE
and VACUUM. A database is renamed after a test, so that processes left over can't find it.
"""

import os
import uuid
from collections.abc import Collection, Set
from dataclasses import dataclass

import psycopg
from psycopg import sql

from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import database

# Disconnects everything else, and waits for that.
ALONE = """SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
# Every change of a structure, right or setting makes a new version of a row in one of these.
# Emptying changes only pg_class, in other columns.
_VERSIONS = (
    "pg_attribute.attrelid",
    "pg_constraint.oid",
    "pg_index.indexrelid",
    "pg_proc.oid",
    "pg_type.oid",
    "pg_policy.oid",
    "pg_event_trigger.oid",
    "pg_extension.oid",
    "pg_default_acl.oid",
    "pg_statistic_ext.oid",
    "pg_statistic.starelid",
)
STRUCTURE = " UNION ALL ".join(
    [
        """SELECT count(*), sum(hashtextextended(concat_ws(':', oid, relname, relkind, relowner,
        relacl, reloptions, relpersistence, relhastriggers,
        relrowsecurity, relispartition, relforcerowsecurity), 0)) FROM pg_class
        WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace""",
        """SELECT count(*), sum(hashtextextended(concat_ws(':', oid, nspname, nspowner, nspacl), 0))
        FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'""",
        """SELECT count(*), sum(hashtextextended(concat_ws(':', oid, tgrelid, tgname, tgfoid,
        tgtype, tgenabled, tgargs, tgqual, tgattr), 0))
        FROM pg_trigger""",
        """SELECT count(*), sum(hashtextextended(concat_ws(':', setrole, setconfig), 0))
        FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())""",
        """SELECT datconnlimit, hashtextextended(concat_ws(':', datdba, datacl, datallowconn), 0)
        FROM pg_database WHERE datname = current_database()""",
        *(
            f"""SELECT count(*), sum(hashtextextended(concat_ws(':', {key}, xmin), 0)) FROM {table}
        WHERE {key} >= 16384"""
            for table, key in (name.split(".") for name in _VERSIONS)
        ),
    ]
)
# Tables with rows or statistics, and whether TRUNCATE is cheaper.
USED = """SELECT oid::regclass::text, pg_total_relation_size(oid) > 512 * 1024 FROM pg_class
        WHERE relkind = 'r' AND oid >= 16384 AND (pg_relation_size(oid) > 0 OR reltuples >= 0)
        ORDER BY 1"""
# Triggers on DELETE and TRUNCATE that fire in any session role.
REFUSING = """SELECT tgrelid::regclass::text, quote_ident(tgname) FROM pg_trigger
        WHERE tgenabled = 'A' AND tgtype & (8 | 32) > 0 ORDER BY 1, 2"""
BINDS = """SELECT confrelid::regclass::text, conrelid::regclass::text FROM pg_constraint
        WHERE contype = 'f'"""
SEQUENCES = """SELECT format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value),
        last_value IS NOT NULL FROM pg_sequences ORDER BY 1"""


@dataclass(frozen=True)
class Contents:
    """The structure and contents of a fresh template copy."""

    structure: object
    tables: dict[str, tuple[str, bytes]]
    sequences: list[tuple[str, int, bool]]
    binds: list[tuple[str, str]]
    refusing: list[tuple[str, str]]


class Pool:
    """Lends this process's database to tests that commit."""

    def __init__(self, server: Server, template: str) -> None:
        self._server, self._spare = server, ""
        self._template = template
        self._contents: Contents | None = None
        self._owner = database._owner(server)

    def take(self, name: str) -> None:
        """Provide a database ``name`` equal to the template."""
        if self._spare:
            spare, self._spare = self._spare, ""
            self._rename(spare, name)
            return
        database.clone_one(self._server, name, self._template)
        if self._contents is None:
            with self._connection(name) as connection:
                self._contents = _contents(connection)

    def give(self, name: str) -> None:
        """Empty the database ``name`` for the next test, or drop it."""
        spare = f"orbit_spare_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        try:
            with self._connection(name) as connection:
                kept = self._contents is not None and _emptied(connection, self._contents)
            if kept:
                # Rename it, so that processes left over from the test can't find it.
                self._rename(name, spare)
                self._spare = spare
                return
        except psycopg.Error:
            pass  # the test dropped it, or something keeps a connection
        database.drop_one(self._server, name)

    def close(self) -> None:
        if self._spare:
            database.drop_one(self._server, self._spare)
            self._spare = ""
        self._owner.close()

    def _rename(self, old: str, new: str) -> None:
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
            sql.Identifier(old), sql.Identifier(new)
        )
        try:
            self._owner.execute(rename)
        except psycopg.OperationalError:  # a test ended all sessions
            self._owner.close()
            self._owner = database._owner(self._server)
            self._owner.execute(rename)

    def _connection(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self._server.url(SUPERUSER, name), autocommit=True)


def _contents(connection: psycopg.Connection) -> Contents:
    digests = _digests(connection, [name for name, _ in connection.execute(USED).fetchall()])
    tables = {name: (digest, _copied(connection, name)) for name, digest in digests.items()}
    return Contents(
        _structure(connection),
        tables,
        *(connection.execute(query).fetchall() for query in (SEQUENCES, BINDS, REFUSING)),
    )


def _emptied(connection: psycopg.Connection, contents: Contents) -> bool:
    """Undo a test's changes; return False if that is impossible."""
    if (
        connection.execute(ALONE).fetchone() == (False,)
        or _structure(connection) != contents.structure
    ):
        return False
    used = dict(connection.execute(USED).fetchall())
    # A test that truncated one of these left neither rows nor statistics.
    used = dict.fromkeys(contents.tables, False) | used
    digests = _digests(connection, contents.tables.keys())
    kept = {name for name, digest in digests.items() if contents.tables[name][0] == digest}
    # TRUNCATE needs all tables that refer to one of these, too.
    large = {name for name in used.keys() - kept if used[name]}
    while more := {by for of, by in contents.binds if of in large} - large:
        large |= more
    _delete(connection, contents, used.keys() - kept - large)
    _truncate(connection, contents, large)
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for name in (used.keys() - kept | large) & contents.tables.keys():
            with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                copy.write(contents.tables[name][1])
    for now, before in zip(
        connection.execute(SEQUENCES).fetchall(), contents.sequences, strict=True
    ):
        if now != before:
            connection.execute("SELECT setval(%s, %s, %s)", before)
    return True


def _delete(connection: psycopg.Connection, contents: Contents, names: Set[str]) -> None:
    """Delete all rows of small tables, and leave files and statistics of new ones."""
    if not names:
        return
    connection.execute(
        "BEGIN; SET LOCAL session_replication_role = replica;"
        + _unguarded(contents, names, "".join(f"DELETE FROM {name};" for name in sorted(names)))
        + "COMMIT"
    )
    connection.execute(f"VACUUM (SKIP_DATABASE_STATS) {', '.join(sorted(names))}")
    connection.execute(
        """SELECT pg_clear_relation_stats(relnamespace::regnamespace::text, relname)
        FROM pg_class WHERE oid = ANY(%s::regclass[])""",
        [sorted(names)],
    )


def _truncate(connection: psycopg.Connection, contents: Contents, names: Set[str]) -> None:
    if names:
        emptying = f"TRUNCATE {', '.join(sorted(names))};"
        connection.execute("BEGIN;" + _unguarded(contents, names, emptying) + "COMMIT")


def _unguarded(contents: Contents, names: Set[str], script: str) -> str:
    """Return the script, with the triggers that refuse it switched off around it."""
    guards = [(name, trigger) for name, trigger in contents.refusing if name in names]
    off = "".join(f"ALTER TABLE {name} DISABLE TRIGGER {trigger};" for name, trigger in guards)
    on = "".join(f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {trigger};" for name, trigger in guards)
    return off + script + on


def _structure(connection: psycopg.Connection) -> object:
    return connection.execute(STRUCTURE).fetchall()


def _digests(connection: psycopg.Connection, names: Collection[str]) -> dict[str, str]:
    if not names:
        return {}
    return dict(
        connection.execute(
            " UNION ALL ".join(
                f"SELECT '{name}', coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"
                f" FROM {name} t"
                for name in names
            )
        ).fetchall()
    )


def _copied(connection: psycopg.Connection, name: str) -> bytes:
    with connection.cursor().copy(f"COPY {name} TO STDOUT") as copy:
        return b"".join(bytes(part) for part in copy)
