"""Check, lock and clear the database that a backup is restored to."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from governance.kernel.errors import Kind, OrbitError
from governance.kernel.sql import Statement, load
from orbit.cycles.maintenance import SILENT_AFTER
from orbit_site.backup.manifest import Manifest

READ_REACH = load(__name__, "read_reach")
LIST_EXISTING = load(__name__, "list_existing")
LIST_OWN_TABLES = load(__name__, "list_own_tables")
LIST_OWN_FUNCTIONS = load(__name__, "list_own_functions")
# Rows that only use creates; migrations create none of them.
USED = {
    "entries on the audit trail": ("governance_audittrailentry", ""),
    "cycles": ("orbit_cyclerun", ""),
    "users": ("auth_user", ""),
    "profiles": ("orbit_profile", ""),
    "namespaces": ("governance_namespace", "WHERE name <> 'default'"),
}


class NotEmpty(OrbitError):
    """The database already has data."""

    code, kind = "not_empty", Kind.CONFLICT


class InUse(OrbitError):
    """Orbit runs on this database."""

    code, kind = "in_use", Kind.CONFLICT


def reach() -> str:
    """Say what a file can do that is restored here."""
    ((role, is_superuser, has_programs),) = READ_REACH.rows()
    text = f"Its author can run any SQL as the role {role}"
    if is_superuser or has_programs:
        text += (
            f", which {'is a superuser' if is_superuser else 'may run programs'}: "
            "any program on the database server's machine as well"
        )
    return f"{text}. Restore it only if you trust everyone who could write to it."


def refuse_used(manifest: Manifest) -> None:
    """Raise InUse if a cluster is alive, NotEmpty if Orbit was used."""
    existing = _names(LIST_EXISTING, names=list(manifest.rows))
    if "django_migrations" not in existing:
        if existing:
            raise NotEmpty(
                f"The schema {settings.ORBIT_DATABASE_SCHEMA!r} has no Orbit, but tables with the "
                f"same names ({', '.join(existing[:3])}). Restore to another database."
            )
        return
    if "orbit_clusternode" in existing and _exists(
        "FROM orbit_clusternode "
        f"WHERE seen_at > now() - interval '{SILENT_AFTER.total_seconds()} seconds'"
    ):
        raise InUse(
            "A cluster is alive on this database. "
            "Stop it and all other processes of Orbit before a restore."
        )
    leftovers = [
        name
        for name, (table, where) in USED.items()
        if table in existing and _exists(f"FROM {table} {where}")
    ]
    if leftovers:
        raise NotEmpty(
            f"This installation was used: it has {', '.join(leftovers)}. "
            "Restore to an empty database; nothing was changed here."
        )


def lock() -> None:
    """Lock the tables of Orbit until the transaction ends. Raises InUse."""
    tables = _tables()
    if not tables:
        return
    try:
        # Other sessions wait; then they see the restored tables or, after a failure, the old ones.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(tables))
            )
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
            raise
        raise InUse(
            "Another session works on this database. "
            "Stop all processes of Orbit before a restore; nothing was changed."
        ) from error


def clear() -> int:
    """Drop the tables and functions of Orbit; return the number of tables."""
    tables = _tables()
    functions = [sql.SQL(name) for name in _names(LIST_OWN_FUNCTIONS, pattern=_pattern())]
    with connection.cursor() as cursor:
        if tables:
            cursor.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.SQL(", ").join(tables)))
        if functions:
            cursor.execute(
                sql.SQL("DROP FUNCTION {} CASCADE").format(sql.SQL(", ").join(functions))
            )
    return len(tables)


def _tables() -> list[sql.Identifier]:
    schema = settings.ORBIT_DATABASE_SCHEMA
    return [sql.Identifier(schema, name) for name in _names(LIST_OWN_TABLES, pattern=_pattern())]


def _pattern() -> str:
    return f"^({'|'.join(sorted({*apps.app_configs, 'django'}))})_"


def _names(statement: Statement, **values: Any) -> list[str]:
    rows = statement.rows(schema=settings.ORBIT_DATABASE_SCHEMA, **values)
    return [name for (name,) in rows]


def _exists(source: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 {source})")
        return bool(cursor.fetchone()[0])
