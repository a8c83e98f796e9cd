"""Django's ``migrate`` as the owner of the tables, one at a time, with grants."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from governance.kernel.sql import load
from orbit_site.processes import second_database as second
from orbit_site.processes.pending_migrations import PartlyReplaced, ensure_not_partly_replaced
from telemetry import database as telemetry

#: Tables that the running processes may read and insert into, but not update or delete from.
APPEND_ONLY = (
    "governance_audittrailentry",
    "orbit_executionrecord",
    "orbit_recordgroup",
    "orbit_cyclecheckpoint",
    "orbit_valueledgerentry",
    "advisory_proposaldecision",
    "advisory_advisorysignal",
    "advisory_signalcomputation",
)
LOCK_TIMEOUT = "10s"

_OWN_TABLES = load(__name__, "list_own_relations")
_OWN_FUNCTIONS = (
    "SELECT p.oid::regprocedure::text FROM pg_proc AS p "
    "WHERE p.pronamespace = %s::regnamespace AND pg_has_role(p.proowner, 'USAGE')"
)


class Command(migrate.Command):
    """Migrates schema, tables and grants to this release."""

    def handle(self, *args: Any, **options: Any) -> None:
        app = options["app_label"]
        if options["database"] == DEFAULT_DB_ALIAS:
            with as_owner():
                self._migrate(connection, *args, **options)
                if not options["plan"] and not options["check_unapplied"]:
                    _grant(settings.ORBIT_DATABASE_SCHEMA)
        if telemetry.IS_SEPARATE and app in (None, "telemetry"):
            self._migrate_second(*args, **options)

    def _migrate_second(self, *args: Any, **options: Any) -> None:
        try:
            second.refuse_main()
            self._migrate(
                telemetry.connection(),
                *args,
                **{**options, "app_label": "telemetry", "database": telemetry.ALIAS},
            )
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The main database is migrated, telemetry's own is not: {str(error).strip()}. "
                "Check that its server runs and that ORBIT_TELEMETRY_DATABASE_URL names it; "
                "then run this again."
            ) from error

    def _migrate(self, on: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        try:
            # A second `migrate` at the same time waits here.
            self._wait_for_lock(on, quiet=options["verbosity"] == 0)
            ensure_schema(settings.ORBIT_DATABASE_SCHEMA, on)
            _check_replaced(on)
            with on.cursor() as cursor:
                # All later queries queue behind a migration that waits for a lock: give up.
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
                # A third of a lease ends other idle transactions. A migration computes in
                # between, on a busy machine for longer.
                cursor.execute(
                    "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0"
                )
            super().handle(*args, **options)
        except OperationalError as error:
            # A request may hold one table and wait for another one that is being changed.
            if isinstance(error.__cause__, (LockNotAvailable, DeadlockDetected)):
                raise CommandError(
                    f"A table was locked by others, or for over {LOCK_TIMEOUT}. "
                    f"What was done before it is kept. Run it again. ({error})"
                ) from error
            raise

    def _wait_for_lock(self, on: BaseDatabaseWrapper, *, quiet: bool) -> None:
        # Poll: a session that waits inside pg_advisory_lock holds a snapshot, and
        # CREATE INDEX CONCURRENTLY would wait for that.
        announced = quiet
        while True:
            with on.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_try_advisory_lock(hashtext('orbit.migrate'), hashtext(%s))",
                    [settings.ORBIT_DATABASE_SCHEMA],
                )
                if cursor.fetchone() == (True,):
                    return
            if not announced:
                self.stderr.write("Waiting for another migrate on this database.")
                announced = True
            time.sleep(0.2)


def _check_replaced(on: BaseDatabaseWrapper) -> None:
    loader = MigrationLoader(on)
    try:
        ensure_not_partly_replaced(loader, loader.applied_migrations)
    except PartlyReplaced as error:
        raise CommandError(str(error), returncode=2) from error


@contextmanager
def as_owner() -> Iterator[None]:
    """Connect as the tables' owner inside the block."""
    before = connection.settings_dict
    connection.close()
    connection.settings_dict = {**before, **settings.ORBIT_OWNER_DATABASE}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = before


def ensure_schema(schema: str, on: BaseDatabaseWrapper | None = None) -> None:
    """Create ``schema`` if it is missing, in the main database unless another is named."""
    with (on or connection).cursor() as cursor:
        # CREATE SCHEMA IF NOT EXISTS needs the right to create one even if it exists.
        cursor.execute("SELECT to_regnamespace(%s) IS NULL", [schema])
        if cursor.fetchone() == (True,):
            cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))


def _grant(schema: str) -> None:
    application, owner = (
        settings.DATABASES["default"]["USER"],
        settings.ORBIT_OWNER_DATABASE["USER"],
    )
    if not application or application == owner:
        return
    role, place = sql.Identifier(application), sql.Identifier(schema)
    with transaction.atomic(), connection.cursor() as cursor:
        relations = _OWN_TABLES.rows(schema=schema, append_only=list(APPEND_ONLY))
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
            # For later partitions. UPDATE and DELETE on them are checked at their table.
            (
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {on} GRANT SELECT, INSERT ON TABLES TO {role}",
                [place],
            ),
            (
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {on} "
                "GRANT USAGE, SELECT ON SEQUENCES TO {role}",
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
