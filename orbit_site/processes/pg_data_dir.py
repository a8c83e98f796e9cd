"""The data folder of the embedded server: creation and configuration.

A new folder is renamed when it is complete, so a killed creation leaves nothing that looks like
data. Root writes into another account's folder here, so symbolic links are never followed.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orbit_site.processes import pg_paths
from orbit_site.processes.pg_paths import Account, PostgresError, Server

# Single-user mode with -j takes statements that end in a semicolon and an empty line.
_FIRST_STATEMENTS = b"CREATE ROLE orbit_app LOGIN;\n\nCREATE DATABASE orbit OWNER orbit_owner;\n\n"


def create(server: Server, runner: Account, programs: Path, *, quick: bool) -> None:
    """Create the data folder with roles and database. Raises PostgresError.

    ``quick`` skips the flushes to disk.
    """
    # A crash may have left one; start over.
    fresh = server.data.with_name(f"{server.data.name}.new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(fresh, runner.uid, runner.gid)
    with pg_paths.quotable(programs) as plain:
        _run(
            [
                str(plain / "initdb"),
                "-D",
                str(fresh),
                "-E",
                "UTF8",
                "-U",
                "orbit_owner",
                "--auth=reject",
                "--auth-local=peer",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                *(["--no-sync"] if quick else []),
            ],
            runner,
        )
    with os.fdopen(
        os.open(fresh / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW), "w"
    ) as configuration:
        configuration.write("\ninclude_if_exists = 'orbit.conf'\n")
    _run(
        [str(programs / "postgres"), "--single", "-j", "-D", str(fresh), "postgres"],
        runner,
        _FIRST_STATEMENTS,
    )
    fresh.rename(server.data)


def configure(server: Server, runner: Account, settings: Mapping[str, str]) -> None:
    """Write the configuration: settings, and the accounts that may log in."""
    quoted = '"' + server.host.replace('"', '""') + '"'  # PostgreSQL reads it as a list
    lines = [
        f"{name} = '{_escape(value)}'"
        for name, value in {**settings, "unix_socket_directories": quoted}.items()
    ]
    # `nobody` may run the server for root but not log in: other services use that account too.
    callers = {"root", runner.name} - ({"nobody"} if os.geteuid() == 0 else set())
    maps = [
        f'orbit "{name}" {role}'
        for name in sorted(callers)
        for role in ("orbit_owner", "orbit_app")
    ]
    _write(server.data / "orbit.conf", lines, runner)
    _write(server.data / "pg_ident.conf", maps, runner)
    _write(
        server.data / "pg_hba.conf",
        ["local all all peer map=orbit", "local replication all peer map=orbit"],
        runner,
    )


def make_socket_folder(server: Server, runner: Account) -> None:
    """Create the socket's folder. Raises PostgresError if others can enter it."""
    folder = Path(server.host)
    if folder == server.data:
        return
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, runner.uid, runner.gid)
    except FileExistsError:
        status = folder.lstat()
        is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        if not is_private or status.st_uid != runner.uid:
            raise PostgresError(
                f"{folder}, the folder of the server's socket, belongs to another account "
                "or is open to others. Remove it."
            ) from None


def running_as(runner: Account) -> dict[str, Any]:
    """Return subprocess options: as ``runner`` if we are root, in a new session."""
    options: dict[str, Any] = {
        "cwd": "/",
        "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        "umask": 0o077,
        "start_new_session": True,
    }
    if os.geteuid() == 0:
        options |= {"user": runner.uid, "group": runner.gid, "extra_groups": []}
    return options


def _run(command: list[str], runner: Account, stdin: bytes = b"") -> None:
    done = subprocess.run(
        command, input=stdin, capture_output=True, check=False, **running_as(runner)
    )
    output = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode or "ERROR:" in output:
        name, message = Path(command[0]).name, " ".join(output.split())[-600:]
        raise PostgresError(f"{name} failed ({done.returncode}): {message}")


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")


def _write(path: Path, lines: list[str], runner: Account) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w"
    ) as file:
        if os.geteuid() == 0:
            os.fchown(file.fileno(), runner.uid, runner.gid)
        file.write("\n".join(["# Written by Orbit at each start.", *lines, ""]))
    fresh.replace(path)
