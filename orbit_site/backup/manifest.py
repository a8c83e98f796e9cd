"""What a backup says about itself: which release and migrations, where the audit trail ended, how many rows each table had."""

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from governance.audit import verify
from governance.kernel.errors import Kind, OrbitError

FORMAT = 1

# A partition's rows count with the table that it belongs to.
TABLES = """SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"""
# A dump without roles loses this: who isn't named here may call a function as everybody may.
PRIVATE = """SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = %s::regnamespace AND prokind = 'f'
AND NOT has_function_privilege('public', oid, 'EXECUTE') ORDER BY 1"""


class Unfit(OrbitError):
    """This backup doesn't fit here."""

    code, kind = "backup_unfit", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state that a backup holds. ``current`` is false where its database was behind the release that took it, as before an upgrade."""

    format: int
    release: str
    current: bool
    taken_at: str
    server: int
    schema: str
    audit_sequence: int
    audit_hash: str
    migrations: list[str]
    rows: dict[str, int]
    private_functions: list[str]

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return asdict(self)


def read() -> Manifest:
    """Read it from the database; call it in the transaction whose snapshot is dumped. Raises ProgrammingError where nobody migrated."""
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    sequence, digest = verify.stored_head()
    ((taken_at, server),) = _fetch(
        "SELECT clock_timestamp(), current_setting('server_version_num')::int / 10000"
    )
    return Manifest(
        format=FORMAT, release=settings.ORBIT_VERSION, current=not pending, taken_at=_iso(taken_at), server=server, schema=settings.ORBIT_DATABASE_SCHEMA,
        audit_sequence=sequence, audit_hash=digest, migrations=sorted(".".join(key) for key in executor.loader.applied_migrations),
        rows=row_counts(), private_functions=[name for (name,) in _fetch(PRIVATE, settings.ORBIT_DATABASE_SCHEMA)])  # fmt: skip


def parse(document: dict[str, Any]) -> Manifest:
    """Return the manifest that ``document`` is. Raises Unfit for a format that this release doesn't know."""
    if document.get("format") != FORMAT:
        raise Unfit(
            f"The backup has the format {document.get('format')!r}, this release reads {FORMAT}. Restore it with Orbit {document.get('release')}."
        )
    return Manifest(**document)


def refuse_unfit(manifest: Manifest) -> None:
    """Raise Unfit where this release, schema or server can't take what the backup holds; it reads the database's version, nothing else."""
    executor = MigrationExecutor(connection)
    migrations = executor.loader.disk_migrations
    replaced = {key for migration in migrations.values() for key in migration.replaces}
    known = {".".join(key) for key in migrations.keys() | replaced}
    unknown = sorted(set(manifest.migrations) - known)
    newer = manifest.current and _number(manifest.release) > _number(settings.ORBIT_VERSION)
    if unknown or newer:
        why = (
            f"has migrations that this release doesn't know ({', '.join(unknown[:3])})"
            if unknown
            else "is of a newer release"
        )
        raise Unfit(
            f"The backup {why}: it was taken by Orbit {manifest.release}, this is {settings.ORBIT_VERSION}. Restore it with that release."
        )
    if manifest.schema != settings.ORBIT_DATABASE_SCHEMA:
        raise Unfit(
            f"The backup is of the schema {manifest.schema!r}. Set ORBIT_DATABASE_SCHEMA={manifest.schema} and restore it again."
        )
    ((server,),) = _fetch("SELECT current_setting('server_version_num')::int / 10000")
    if manifest.server > server:
        raise Unfit(
            f"The backup is of PostgreSQL {manifest.server}, this server is {server}, and an older one can't take it. Restore it to a newer one."
        )


def row_counts() -> dict[str, int]:
    """Return how many rows each table of the schema has."""
    schema = settings.ORBIT_DATABASE_SCHEMA
    counts: dict[str, int] = {}
    with connection.cursor() as cursor:
        for (name,) in _fetch(TABLES, schema):
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, name)))
            (counts[name],) = cursor.fetchone()
    return counts


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _fetch(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
