"""The manifest of a backup: release, migrations, audit head, row counts."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from governance.audit import verify
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.sql import load
from orbit_site.processes.pending_migrations import ensure_not_partly_replaced

FORMAT = 1

LIST_TABLES = load(__name__, "list_tables")
LIST_PRIVATE_FUNCTIONS = load(__name__, "list_private_functions")


class Unfit(OrbitError):
    """This backup can't be restored here."""

    code, kind = "backup_unfit", Kind.CONFLICT


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63  # True is an int, too


def _matches(pattern: str) -> Callable[[object], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _list_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


_is_release = _matches(r"(?=.{1,100}\Z)\d+([-+.]\w+)*")
_is_name = _matches(r"[^\0]{1,63}")
_FIELDS: dict[str, Callable[[object], bool]] = {
    "format": _is_number,
    "release": _is_release,
    "current": lambda value: type(value) is bool,
    "taken_at": _matches(r"\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"),
    "server": _is_number,
    "schema": _is_name,
    "audit_sequence": _is_number,
    "audit_hash": _matches("[0-9a-f]{64}"),
    "migrations": _list_of(_matches(r"\w{1,100}\.\w{1,255}")),
    "rows": lambda value: (
        isinstance(value, dict)
        and all(map(_is_name, value))
        and all(map(_is_number, value.values()))
    ),
    # Names with the types of their arguments; they are looked up.
    "private_functions": _list_of(_matches(r"[^\0]{1,8000}")),
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state in a backup."""

    format: int
    release: str
    current: bool  # all migrations of that release were applied; not so before an upgrade
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
    """Read the manifest; call it in the transaction of the dump."""
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    sequence, digest = verify.stored_head()
    ((taken_at, server),) = _fetch(
        "SELECT clock_timestamp(), current_setting('server_version_num')::int / 10000"
    )
    schema = settings.ORBIT_DATABASE_SCHEMA
    return Manifest(
        format=FORMAT,
        release=settings.ORBIT_VERSION,
        current=not pending,
        taken_at=_iso(taken_at),
        server=server,
        schema=schema,
        audit_sequence=sequence,
        audit_hash=digest,
        migrations=sorted(".".join(key) for key in executor.loader.applied_migrations),
        rows=row_counts(),
        private_functions=[name for (name,) in LIST_PRIVATE_FUNCTIONS.rows(schema=schema)],
    )


def parse(document: dict[str, Any]) -> Manifest:
    """Return the manifest. Raises Unfit for another format, or odd fields."""
    if document.get("format") != FORMAT:
        release = document.get("release")
        advice = f" Restore it with Orbit {release}." if _is_release(release) else ""
        raise Unfit(
            f"The backup has the format {_short(document.get('format'))}; "
            f"this release reads {FORMAT}.{advice}"
        )
    wrong = sorted(_FIELDS.keys() ^ document.keys()) or [
        name for name, fits in _FIELDS.items() if not fits(document[name])
    ]
    if wrong:
        raise Unfit(
            f"The backup's manifest isn't one that Orbit writes: {_short(wrong[0])} is missing, "
            "unknown, or has a value that it can't have. Nothing was restored."
        )
    return Manifest(**document)


def refuse_unfit(manifest: Manifest) -> None:
    """Raise Unfit if this release, schema or server can't take the backup."""
    executor = MigrationExecutor(connection)
    migrations = executor.loader.disk_migrations
    replaced = {key for migration in migrations.values() for key in migration.replaces}
    ours = {".".join(key) for key in migrations.keys() | replaced}
    unknown = sorted(set(manifest.migrations) - ours)
    newer = manifest.current and _number(manifest.release) > _number(settings.ORBIT_VERSION)
    if unknown or newer:
        why = "is of a newer release"
        if unknown:
            why = f"has migrations that this release lacks ({', '.join(unknown[:3])})"
        raise Unfit(
            f"The backup {why}: it was made by Orbit {manifest.release}, "
            f"this is {settings.ORBIT_VERSION}. Restore it with that release."
        )
    names = {(app, name) for app, _, name in (key.partition(".") for key in manifest.migrations)}
    ensure_not_partly_replaced(executor.loader, names)
    if manifest.schema != settings.ORBIT_DATABASE_SCHEMA:
        raise Unfit(
            f"The backup is of the schema {manifest.schema!r}. "
            f"Set ORBIT_DATABASE_SCHEMA={manifest.schema} and restore it again."
        )
    ((server,),) = _fetch("SELECT current_setting('server_version_num')::int / 10000")
    if manifest.server > server:
        raise Unfit(
            f"The backup is of PostgreSQL {manifest.server}, but this server is {server}. "
            "Restore it to a server that is not older."
        )


def row_counts() -> dict[str, int]:
    """Return the number of rows by table."""
    schema = settings.ORBIT_DATABASE_SCHEMA
    counts: dict[str, int] = {}
    with connection.cursor() as cursor:
        for (name,) in LIST_TABLES.rows(schema=schema):
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, name)))
            (counts[name],) = cursor.fetchone()
    return counts


def _short(value: object) -> str:
    return ascii(value)[:60]


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _fetch(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
