"""Runs PostgreSQL's programs as the account of the server."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from orbit_site.processes import pg_paths
from orbit_site.processes.pg_paths import Account, PostgresError

_COMPLAINT = re.compile(r"\b(error|ERROR|FATAL|PANIC|LOG|HINT): .*")
_FULL_DISK = ("No space left on device", "Check free disk space", "Disk quota exceeded")


def running_as(runner: Account, folder: str = "/") -> dict[str, Any]:
    """Return subprocess options: as ``runner`` if we are root, in a new session, in ``folder``."""
    options: dict[str, Any] = {
        "cwd": folder,
        # Nothing of our environment: PGDATA, PGPORT and others would change what the server does.
        "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        "umask": 0o077,
        "start_new_session": True,
    }
    if os.geteuid() == 0:
        options |= {"user": runner.uid, "group": runner.gid, "extra_groups": []}
    return options


def serve(programs: Path, data: Path, runner: Account, log: int) -> subprocess.Popen[bytes]:
    """Start the server of ``data``; it writes to the file descriptor ``log``."""
    folder, name = pg_paths.at(data)
    return subprocess.Popen(
        [str(programs / "postgres"), "-D", name],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        **running_as(runner, folder),
    )


def initialize(programs: Path, data: Path, runner: Account, *options: str) -> None:
    """Run initdb in the empty folder ``data``. Raises PostgresError."""
    folder, name = pg_paths.at(data)
    _run([str(programs / "initdb"), "-D", name, *options], runner, folder)


def single_user(
    programs: Path, data: Path, runner: Account, statements: str, *, database: str = "postgres"
) -> str:
    """Run ``statements`` as the superuser while no server runs; return the output.

    Each ends in a semicolon and an empty line, and is a transaction. Raises PostgresError.
    """
    folder, name = pg_paths.at(data)
    command = [str(programs / "postgres"), "--single", "-j", "-D", name, database]
    return _run(command, runner, folder, statements.encode())


def _run(command: list[str], runner: Account, folder: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, check=False, **running_as(runner, folder)
    )
    output: str = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode or any(mark in output for mark in ("ERROR:", "FATAL:", "PANIC:")):
        name = Path(command[0]).name
        raise PostgresError(f"{name} failed ({done.returncode}): {problem(output)}")
    return output


def problem(output: str) -> str:
    """Return why a program failed, on one line: its errors, or else its last words."""
    # Of the configuration the server complains in its LOG.
    errors = [match[0] for match in _COMPLAINT.finditer(output)]
    message = " ".join(" ".join(errors or output.splitlines()[-5:]).split())[-600:]
    if any(sign in output for sign in _FULL_DISK):
        message += " The disk is full: make room, and run it again."
    return message
