"""Databases for the tests: one embedded server for all test processes, one migrated template, a copy of it for each of them."""

import atexit
import fcntl
import hashlib
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg import sql

from orbit_site.processes import postgres
from orbit_site.processes.postgres import Server

PROJECT = Path(__file__).resolve().parents[2]
BASE = PROJECT / "var" / "test-postgres"
# Without flushes: what a test wants to know is never whether the power failed.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "autovacuum": "off",
    "shared_buffers": "128MB",
}
#: What a migrated database depends on: change it, and the template is made anew.
SOURCES = (
    "*/migrations/**/*.py",
    "*/models/**/*.py",
    "*/apps.py",
    "*/access/roles.py",
    "*/kernel/append_only.py",
    "orbit_site/management/commands/migrate.py",
    "requirements.txt",
)


_running = ExitStack()


def start_test_server() -> Server:
    """Have the test server running until ``stop_test_server``, which the process that called this must call in turn.

    With several test processes the one that starts them calls this, before them; they find the server by ``postgres.locate(BASE)``.
    """
    atexit.register(stop_test_server)  # for a run that ends in the middle
    return _running.enter_context(postgres.held(BASE, settings=SETTINGS))


def stop_test_server() -> None:
    """Let go of the test server; it stops, unless another test run uses it too."""
    _running.close()


def template(server: Server) -> str:
    """Return the name of a migrated database to copy; it is made by the first that asks, the others wait. Older ones are dropped."""
    name = f"orbit_template_{_fingerprint()}"
    with (BASE / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _owner(server) as connection:
            found = [
                row[0]
                for row in connection.execute(
                    r"SELECT datname FROM pg_database WHERE datname LIKE 'orbit\_template\_%%'"
                )
            ]
            for old in found:
                if old != name:
                    connection.execute(
                        sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old))
                    )
            if name in found:
                return name
            # Made under another name: a migration that fails leaves no template.
            draft = f"orbit_draft_{os.getpid()}"
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(draft)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER orbit_owner").format(sql.Identifier(draft))
            )
            try:
                migrate(server, draft)
                connection.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                        sql.Identifier(draft), sql.Identifier(name)
                    )
                )
            finally:
                drop(server, draft)
    return name


def migrate(server: Server, name: str) -> None:
    """Run ``manage.py migrate`` on the database ``name`` (the checks are the linters' task). Raises CalledProcessError with its output on stderr."""
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
        env={**os.environ, **environment(server, name)},
    )


def environment(server: Server, name: str) -> dict[str, str]:
    """Return the variables that let a process use the database ``name`` with both roles."""
    return {
        "ORBIT_ENV": "test",
        "DATABASE_URL": server.url("orbit_app", name),
        "ORBIT_OWNER_DATABASE_URL": server.url("orbit_owner", name),
    }


def clone(server: Server, name: str) -> None:
    """Make the database ``name`` a fresh copy of the template, in place of one that may be there."""
    source = template(server)
    drop(server, name)
    with _owner(server) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER orbit_owner TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(source)
            )
        )


def drop(server: Server, name: str) -> None:
    """Remove the database ``name``, with whoever is still connected to it; none is no error."""
    with _owner(server) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def _fingerprint() -> str:
    digest = hashlib.sha256()
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
    return psycopg.connect(server.url("orbit_owner", "postgres"), autocommit=True)
