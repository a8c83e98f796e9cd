"""Run backup and restore commands, and compare databases."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.management import get_commands, load_command_class
from django.db import connection
from django.test import override_settings

from orbit_site.backup import container
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import database


def start(
    server: Server, name: str, *arguments: str, stdin: int = subprocess.DEVNULL, **more: str
) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        **database.environment(server, name),
        "ORBIT_CRON_SCHEDULE": "",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=database.PROJECT,
        env=environment,
        text=True,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def run(server: Server, name: str, *arguments: str, **more: str) -> tuple[int, str, str]:
    """Run a command in a process; return its exit code, output and errors."""
    process = start(server, name, *arguments, **more)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def call(
    server: Server, name: str, *arguments: str, owner: str = "orbit_owner", **more: Any
) -> tuple[int, str, str]:
    """Run a command in this process, faster than ``run``; ``more`` is for ``pointed``."""
    output, errors, code = io.StringIO(), io.StringIO(), 0
    with pointed(server, name, owner, **more), redirect_stdout(output), redirect_stderr(errors):
        # A command takes its streams when it is created.
        command = load_command_class(get_commands()[arguments[0]], arguments[0])
        try:
            command.run_from_argv(["manage.py", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return code, output.getvalue(), errors.getvalue()


@contextmanager
def pointed(
    server: Server, name: str, owner: str = "orbit_owner", *, options: Any = None, **more: Any
) -> Iterator[None]:
    """Connect to the database ``name``, with ``options`` of libpq and other settings."""
    before = connection.settings_dict
    target = {"NAME": name, "PASSWORD": "", "HOST": server.host, "PORT": "", **more}
    target["OPTIONS"] = {**before["OPTIONS"], **(options or {})}
    connection.close()
    connection.settings_dict = {**before, **target, "USER": "orbit_app"}
    ContentType.objects.clear_cache()
    try:
        with override_settings(
            ORBIT_OWNER_DATABASE={**settings.ORBIT_OWNER_DATABASE, **target, "USER": owner}
        ):
            yield
    finally:
        connection.close()
        connection.settings_dict = before
        ContentType.objects.clear_cache()


def create(server: Server, name: str) -> None:
    """Create an empty database."""
    database.drop(server, name)
    with psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER orbit_owner")


def rewritten(path: Path, **changes: Any) -> Path:
    """Return a copy of a backup with another manifest and valid checksums."""
    other = path.with_suffix(".other")
    with container.opened(path) as backup:
        container.write(other, {**backup.manifest, **changes}, backup.chunks(), force=True)
    return other


def is_empty(server: Server, name: str) -> bool:
    return rows(
        server, name, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ) == [(0,)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# The server prints (ARRAY['a'::character varying])::text[] as ARRAY[('a'::character varying)::text]
# after a restore. Both mean the same.
SPELLING = re.compile(r"::character varying|::text(\[\])?|[()]")

# Without the triggers of foreign keys: their names have numbers, and the constraints are compared.
CATALOG = {
    "relations": """SELECT c.relname, c.relkind, r.rolname, c.relpersistence, c.reloptions,
        pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid),
        (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) AS a)
        FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relnamespace = 'public'::regnamespace""",
    "columns": """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attidentity, a.attgenerated,
        pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """SELECT c.relname, n.conname, n.contype, n.convalidated,
        pg_get_constraintdef(n.oid), n.condeferrable, n.condeferred
        FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
        WHERE n.connamespace = 'public'::regnamespace""",
    "indexes": """SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready,
        p.inhparent::regclass::text
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT
        JOIN pg_inherits p ON p.inhrelid = i.indexrelid
        WHERE c.relnamespace = 'public'::regnamespace""",
    "triggers": """SELECT c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid), t.tgparentid
        <> 0
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'public'::regnamespace AND t.tgname NOT LIKE 'RI_%'""",
    "functions": """SELECT pg_get_functiondef(p.oid), r.rolname, (SELECT array_agg(a::text
        ORDER BY a::text) FROM unnest(p.proacl) AS a)
        FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
        WHERE p.pronamespace = 'public'::regnamespace""",
    "defaults": """SELECT defaclrole::regrole::text, defaclobjtype, defaclacl::text
        FROM pg_default_acl""",
    "sequences": """SELECT sequencename, last_value, increment_by, cycle FROM pg_sequences
        WHERE schemaname = 'public'""",
}


def catalog(server: Server, name: str) -> dict[str, list[Any]]:
    """Return the schema without rows."""
    with psycopg.connect(server.url("orbit_owner", name)) as connection:
        return {
            kind: sorted(SPELLING.sub("", str(row)) for row in connection.execute(query))
            for kind, query in CATALOG.items()
        }


def rows(server: Server, name: str, query: str, role: str = "orbit_owner") -> list[tuple[Any, ...]]:
    with psycopg.connect(server.url(role, name)) as connection:
        return connection.execute(query).fetchall()
