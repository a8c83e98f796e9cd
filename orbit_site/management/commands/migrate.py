"""Django's ``migrate`` as the owner of the tables, one at a time, with the grants that the running processes need."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import LockNotAvailable

#: What the running processes may add to and read, but neither change nor delete; partitions follow their table.
APPEND_ONLY = (
    "governance_audittrailentry",
    "orbit_executionrecord",
    "orbit_cyclecheckpoint",
    "orbit_valueledgerentry",
)
LOCK_TIMEOUT = "10s"

_OWN_TABLES = """
    SELECT c.oid, c.relname, c.relkind = 'S' AS sequence,
           coalesce((SELECT r.relname FROM pg_partition_ancestors(c.oid) AS a JOIN pg_class AS r ON r.oid = a.relid
                     WHERE r.relname = ANY(%(append_only)s) LIMIT 1), c.relname) = ANY(%(append_only)s) AS append_only
    FROM pg_class AS c WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND pg_has_role(c.relowner, 'USAGE')
    ORDER BY c.relname"""
_OWN_FUNCTIONS = "SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = %s::regnamespace AND pg_has_role(p.proowner, 'USAGE')"


class Command(migrate.Command):
    """Brings the database to this release: schema, tables, grants. Safe to run twice at once: the second one waits."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate as the owner's role; raises CommandError when a table stays locked by somebody else."""
        with as_owner():
            try:
                self._wait_for_turn(quiet=options["verbosity"] == 0)
                ensure_schema(settings.ORBIT_DATABASE_SCHEMA)
                with connection.cursor() as cursor:
                    # A migration that waits for a lock makes everybody behind it wait: better give up and say so.
                    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
                super().handle(*args, **options)
                if not options.get("plan") and not options.get("check_unapplied"):
                    _grant(settings.ORBIT_DATABASE_SCHEMA)
            except OperationalError as error:
                if isinstance(error.__cause__, LockNotAvailable):
                    raise CommandError(
                        f"A table was in use for over {LOCK_TIMEOUT}; nothing of this migration was kept. Run it again. ({error})"
                    ) from error
                raise

    def _wait_for_turn(self, *, quiet: bool) -> None:
        # Asked again and again: a session that waits inside pg_advisory_lock holds a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn.
        told = quiet
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_try_advisory_lock(hashtext('orbit.migrate'), hashtext(%s))",
                    [settings.ORBIT_DATABASE_SCHEMA],
                )
                if cursor.fetchone() == (True,):
                    return
            if not told:
                self.stderr.write("Another migrate is running on this database; waiting for it.")
                told = True
            time.sleep(0.2)


@contextmanager
def as_owner() -> Iterator[None]:
    """Let the default connection log in as the owner inside the block; outside it is the application's again."""
    before = connection.settings_dict
    connection.close()
    connection.settings_dict = {**before, **settings.ORBIT_OWNER_DATABASE}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = before


def ensure_schema(schema: str) -> None:
    """Make ``schema`` where it is missing."""
    with connection.cursor() as cursor:
        # CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where it exists.
        cursor.execute("SELECT to_regnamespace(%s) IS NULL", [schema])
        if cursor.fetchone() == (True,):
            cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))


def _grant(schema: str) -> None:
    """Give the application's role what it needs, where it isn't the owner's; all in one transaction."""
    application, owner = (
        settings.DATABASES["default"]["USER"],
        settings.ORBIT_OWNER_DATABASE["USER"],
    )
    if not application or application == owner:
        return
    role, place = sql.Identifier(application), sql.Identifier(schema)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_OWN_TABLES, {"schema": schema, "append_only": list(APPEND_ONLY)})
        relations = cursor.fetchall()
        cursor.execute(_OWN_FUNCTIONS, [schema])
        functions = [sql.SQL(name) for (name,) in cursor.fetchall()]

        def named(*, sequence: bool, append_only: bool | None = None) -> list[sql.Composable]:
            return [
                sql.Identifier(schema, name)
                for _, name, is_sequence, only in relations
                if is_sequence == sequence and append_only in (None, only)
            ]

        grants: list[tuple[str, list[sql.Composable]]] = [
            ("GRANT USAGE ON SCHEMA {on} TO {role}", [place]),
            ("GRANT SELECT, INSERT ON {on} TO {role}", named(sequence=False)),
            ("GRANT UPDATE, DELETE ON {on} TO {role}", named(sequence=False, append_only=False)),
            (
                "REVOKE UPDATE, DELETE, TRUNCATE ON {on} FROM {role}",
                named(sequence=False, append_only=True),
            ),
            ("GRANT USAGE, SELECT ON SEQUENCE {on} TO {role}", named(sequence=True)),
            ("GRANT EXECUTE ON FUNCTION {on} TO {role}", list(functions)),
            # Partitions that are made later; UPDATE and DELETE reach those through the table above them, which says whether they may.
            (
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {on} GRANT SELECT, INSERT ON TABLES TO {role}",
                [place],
            ),
            (
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {on} GRANT USAGE, SELECT ON SEQUENCES TO {role}",
                [place],
            ),
            (
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {on} GRANT EXECUTE ON FUNCTIONS TO {role}",
                [place],
            ),
        ]
        for text, on in grants:
            if on:
                cursor.execute(sql.SQL(text).format(on=sql.SQL(", ").join(on), role=role))
