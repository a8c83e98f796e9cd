"""Where a backup may be restored to: a schema without Orbit, or one that was migrated and never used."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from governance.kernel.errors import Kind, OrbitError
from orbit.cycles.maintenance import SILENT_AFTER
from orbit_site.backup.manifest import Manifest

THERE = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND relname = ANY(%s) ORDER BY 1"
# What a deed leaves behind, whoever did it; migrations make none of these rows.
USED = {
    "entries on the audit trail": ("governance_audittrailentry", ""),
    "cycles": ("orbit_cyclerun", ""),
    "users": ("auth_user", ""),
    "profiles": ("orbit_profile", ""),
    "namespaces": ("governance_namespace", "WHERE name <> 'default'"),
}
OURS = """SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
AND relname ~ %s AND pg_has_role(relowner, 'USAGE') ORDER BY 1"""
OUR_FUNCTIONS = """SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = %s::regnamespace AND prokind = 'f'
AND proname ~ %s AND pg_has_role(proowner, 'USAGE') ORDER BY 1"""


class NotEmpty(OrbitError):
    """There is something here that a restore would mix with."""

    code, kind = "not_empty", Kind.CONFLICT


class InUse(OrbitError):
    """A cluster works here."""

    code, kind = "in_use", Kind.CONFLICT


def refuse_used(manifest: Manifest) -> None:
    """Raise InUse where a cluster is alive, NotEmpty where somebody used this installation or its tables' names are taken by others."""
    schema = settings.ORBIT_DATABASE_SCHEMA
    taken = _names(THERE, schema, list(manifest.rows))
    if "django_migrations" not in taken:
        if taken:
            raise NotEmpty(
                f"The schema {schema!r} holds tables of the same names ({', '.join(taken[:3])}), but no Orbit. Restore to another database."
            )
        return
    if "orbit_clusternode" in taken and _any(
        f"FROM orbit_clusternode WHERE seen_at > now() - interval '{SILENT_AFTER.total_seconds()} seconds'"
    ):
        raise InUse(
            "A cluster is alive on this database. Stop it, and everything else of Orbit here, before a restore."
        )
    found = [
        what
        for what, (table, where) in USED.items()
        if table in taken and _any(f"FROM {table} {where}")
    ]
    if found:
        raise NotEmpty(
            f"This installation was used: there are {', '.join(found)}. Restore to an empty database; nothing was changed here."
        )


def hold() -> None:
    """Let nobody write to the tables of an Orbit that is here until the caller's transaction ends, and wait for those who do just now.

    Raises InUse where that takes too long. Whoever comes meanwhile waits, and then finds the restored tables or, where the restore
    fails, those that were here.
    """
    tables = _tables()
    if not tables:
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(tables))
            )
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
            raise
        raise InUse(
            "Somebody works on this database. Stop everything of Orbit here before a restore; nothing was changed."
        ) from error


def clear() -> int:
    """Drop the tables and functions of an unused Orbit, in the caller's transaction, to make room for the backup's; return how many tables."""
    tables, functions = (
        _tables(),
        [
            sql.SQL(name)
            for name in _names(OUR_FUNCTIONS, settings.ORBIT_DATABASE_SCHEMA, _prefixes())
        ],
    )
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
    return [sql.Identifier(schema, name) for name in _names(OURS, schema, _prefixes())]


def _prefixes() -> str:
    return f"^({'|'.join(sorted({*apps.app_configs, 'django'}))})_"


def _names(query: str, *values: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [name for (name,) in cursor.fetchall()]


def _any(source: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 {source})")
        return bool(cursor.fetchone()[0])
