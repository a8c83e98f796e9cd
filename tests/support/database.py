"""Test databases: one embedded server, one migrated template, a copy per test process."""

import atexit
import fcntl
import functools
import hashlib
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from orbit_site.processes import postgres
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server

PROJECT = Path(__file__).resolve().parents[2]
BASE = PROJECT / "var" / "test-postgres"
# No flushes to disk: no test is about a power failure.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "autovacuum": "off",
    "shared_buffers": "128MB",
}
#: The same for all processes of a run, also after midnight.
DAY = os.environ.setdefault("TEST_TEMPLATE_DAY", f"{datetime.now(UTC):%F}")
#: What a migrated database depends on. If it changes, the template is created again.
SOURCES = (
    "*/migrations/**/*.py",
    "*/models/**/*.py",
    "*/apps.py",
    "*/access/roles.py",
    "*/kernel/append_only.py",
    "*/kernel/partitions.py",
    "orbit_site/management/commands/migrate.py",
    "requirements.txt",
)


_running = ExitStack()


def start_test_server() -> Server:
    """Start the test server; the same process must stop it."""
    # With xdist, the controlling process runs this; workers find the server by its folder.
    atexit.register(stop_test_server)  # if the run is interrupted
    return _running.enter_context(postgres.held(BASE, settings=SETTINGS, superuser=True))


def stop_test_server() -> None:
    """Stop the test server, unless another run uses it."""
    _running.close()


def second(name: str) -> str:
    """Return the name of telemetry's own database beside the main one ``name``."""
    return f"{name}_telemetry"


def is_separate() -> bool:
    """Tell whether this run gives telemetry a database of its own (see ``two_databases``)."""
    return bool(os.environ.get("ORBIT_TELEMETRY_DATABASE_URL"))


def template(server: Server) -> str:
    """Return the migrated template's name; create it, and telemetry's, if needed."""
    name = f"orbit_template_{_fingerprint()}"
    with (BASE / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _owner(server) as connection:
            templates = [
                row[0]
                for row in connection.execute(
                    r"SELECT datname FROM pg_database WHERE datname LIKE 'orbit\_template\_%%'"
                )
            ]
            for old in templates:
                if old not in {name, second(name)}:
                    connection.execute(
                        sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old))
                    )
            if name in templates:
                return name
            # Created under another name, so that a failed migration leaves no template.
            draft = f"orbit_draft_{os.getpid()}"
            for each in (draft, second(draft)):
                drop_one(server, each)
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER orbit_owner").format(sql.Identifier(each))
                )
            try:
                migrate(server, draft, separate=True)
                for each, final in ((second(draft), second(name)), (draft, name)):
                    drop_one(server, final)
                    connection.execute(
                        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                            sql.Identifier(each), sql.Identifier(final)
                        )
                    )
            finally:
                drop_one(server, draft)
                drop_one(server, second(draft))
    return name


def migrate(server: Server, name: str, *, separate: bool | None = None) -> None:
    """Migrate the database ``name``, and telemetry's. Raises CalledProcessError."""
    subprocess.run(
        [
            sys.executable,
            str(PROJECT / "manage.py"),
            "migrate",
            "--skip-checks",
            "--verbosity",
            "0",
        ],
        check=True,
        cwd=PROJECT,
        env={**os.environ, **environment(server, name, separate=separate)},
    )


def environment(server: Server, name: str, *, separate: bool | None = None) -> dict[str, str]:
    """Return the variables to use the database ``name``, and telemetry's if the run has two."""
    separate = is_separate() if separate is None else separate
    return {
        "ORBIT_TELEMETRY_DATABASE_URL": server.url("orbit_owner", second(name)) if separate else "",
        "ORBIT_ENV": "test",
        "DATABASE_URL": server.url("orbit_app", name),
        "ORBIT_OWNER_DATABASE_URL": server.url("orbit_owner", name),
    }


def clone(server: Server, name: str) -> None:
    """Replace the database ``name``, and telemetry's, by copies of the templates."""
    source = template(server)
    clone_one(server, name, source)
    if is_separate():
        clone_one(server, second(name), second(source))


def clone_one(server: Server, name: str, source: str) -> None:
    """Replace the database ``name`` by a copy of ``source``."""
    drop_one(server, name)
    with _owner(server) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER orbit_owner TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )


def drop(server: Server, name: str) -> None:
    """Drop the database ``name``, and telemetry's, if they exist."""
    drop_one(server, name)
    if is_separate():
        drop_one(server, second(name))


def drop_one(server: Server, name: str) -> None:
    """Drop the database ``name`` if it exists."""
    with _owner(server) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


@functools.cache  # a change while the tests run is one of the next run
def _fingerprint() -> str:
    # A template of yesterday lacks a partition of today.
    digest = hashlib.sha256(DAY.encode())
    for path in sorted(
        {
            path
            for pattern in SOURCES
            for path in PROJECT.glob(pattern)
            if "tests" not in path.parts and ".venv" not in path.parts
        }
    ):
        digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _owner(server: Server) -> psycopg.Connection:
    return psycopg.connect(server.url(SUPERUSER, "postgres"), autocommit=True)
