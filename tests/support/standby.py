"""A primary with a streaming standby, each an embedded server of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from orbit_site.processes import pg_data_dir, pg_paths, pg_programs, postgres
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server
from tests.support import database
from tests.support.polling import until


class Pair:
    """Two servers and the URLs that name both."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary, self.standby = primary, standby

    def url(self, role: str) -> str:
        """Return a URL of both servers, the first primary first."""
        return f"postgresql://{role}@/orbit?host={self.primary.host},{self.standby.host}"

    def cut(self) -> None:
        """End the replication: what the primary commits from now on is lost with it."""
        execute(self.standby, "ALTER SYSTEM SET primary_conninfo = ''")
        execute(self.standby, "SELECT pg_reload_conf()")
        until(
            lambda: not execute(self.standby, "SELECT 1 FROM pg_stat_wal_receiver"),
            "the standby goes on receiving",
        )

    def make_primary_read_only(self) -> None:
        """Let the primary answer and accept no writes, for open sessions too."""
        execute(self.primary, "ALTER SYSTEM SET default_transaction_read_only = on")
        execute(self.primary, "SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make the standby a primary."""
        execute(self.standby, "SELECT pg_promote(true, 60)")

    def sessions(self, server: Server) -> list[str]:
        """Return the names of the clusters' sessions on ``server``."""
        sessions = execute(
            server,
            "SELECT application_name FROM pg_stat_activity "
            "WHERE datname = 'orbit' AND application_name SIMILAR TO 'orbit-(worker|maintenance)%'",
        )
        return [name for (name,) in sessions]


def execute(server: Server, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement on this server alone; return its rows."""
    with psycopg.connect(server.url(SUPERUSER), autocommit=True) as session:
        cursor = session.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Run a migrated primary and its standby in ``folder``, which any account can enter."""
    first, second = folder / "first", folder / "second"
    # Without a flush to disk, as the other test servers.
    settings = {**postgres.SETTINGS, **database.SETTINGS}
    with postgres.held(first, settings=settings, superuser=True) as primary:
        database.migrate(primary, "orbit")
        # The standby's account comes to the primary's socket by this folder.
        first.chmod(0o711)
        standby = _copy(primary, second, settings)
        process = _start(standby, second)
        try:
            until(lambda: _is_streaming(primary), "the standby doesn't stream")
            yield Pair(primary, standby)
        finally:
            process.terminate()
            process.wait(60)


def _copy(primary: Server, base: Path, settings: dict[str, str]) -> Server:
    # The standby connects as the account that runs it, which may not log in otherwise.
    access = primary.data / "pg_hba.conf"
    access.write_text("local replication all trust\n" + access.read_text())
    execute(primary, "SELECT pg_reload_conf()")
    base.mkdir(mode=0o755)
    server, runner = postgres.locate(base), pg_paths.account(base)
    source = f"host={primary.host} user={SUPERUSER}"
    subprocess.run(
        [
            str(pg_paths.programs(runner) / "pg_basebackup"),
            *("--dbname", source, "--pgdata", str(server.data)),
            *("--write-recovery-conf", "--checkpoint", "fast", "--no-sync"),
        ],
        check=True,
        capture_output=True,
    )
    # The primary's socket may be in its data folder.
    (server.data / f"{pg_paths.SOCKET_NAME}.lock").unlink(missing_ok=True)
    if os.geteuid() == 0:
        for path in (server.data, *server.data.rglob("*")):
            shutil.chown(path, runner.uid, runner.gid)
    pg_data_dir.make_socket_folder(server, runner)
    pg_data_dir.configure(server, runner, settings, superuser=True)
    return server


def _start(server: Server, base: Path) -> "subprocess.Popen[bytes]":
    runner = pg_paths.account(base)
    with (base / "postgres.log").open("wb") as log:
        return pg_programs.serve(pg_paths.programs(runner), server.data, runner, log.fileno())


def _is_streaming(primary: Server) -> bool:
    with suppress(psycopg.OperationalError):
        return bool(execute(primary, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
    return False
