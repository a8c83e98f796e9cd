"""The data folder of the embedded server: creation, conversion, configuration.

A new folder is renamed when it is complete, so a killed creation leaves nothing that looks like
data. Root writes into another account's folder here, so symbolic links are never followed.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from orbit_site.processes import pg_paths, pg_programs, pg_roles
from orbit_site.processes.pg_paths import Account, PostgresError, Server

#: In data whose ``orbit_owner`` is no superuser.
CONVERTED = "orbit.roles"


def create(server: Server, runner: Account, programs: Path, *, quick: bool) -> None:
    """Create the data folder with roles and database. Raises PostgresError.

    ``quick`` skips the flushes to disk.
    """
    # A crash may have left one; start over.
    fresh = server.data.with_name(f"{server.data.name}.new")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    fresh.chmod(0o700)  # a umask may take our own permissions too
    if os.geteuid() == 0:
        os.chown(fresh, runner.uid, runner.gid)
    options = [
        "--encoding=UTF8",
        f"--username={pg_roles.SUPERUSER}",
        "--auth=reject",
        "--auth-local=peer",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        *(["--no-sync"] if quick else []),
    ]
    with pg_paths.quotable(programs) as plain:
        pg_programs.initialize(plain, fresh, runner, *options)
    with os.fdopen(
        os.open(fresh / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW), "w"
    ) as configuration:
        configuration.write("\ninclude_if_exists = 'orbit.conf'\n")
    pg_roles.create(programs, fresh, runner)
    _write(fresh / CONVERTED, [], runner)
    fresh.rename(server.data)


def convert(server: Server, runner: Account, programs: Path) -> None:
    """Bring data of an older release to this one's roles. Raises PostgresError."""
    if not (server.data / CONVERTED).exists():
        pg_roles.convert(programs, server.data, runner)
        _write(server.data / CONVERTED, [], runner)


def configure(
    server: Server, runner: Account, settings: Mapping[str, str], *, superuser: bool = False
) -> None:
    """Write the configuration: settings, and the accounts that may log in.

    ``superuser`` lets them log in as the superuser too, which tests need.
    """
    folder = server.host
    if folder == str(server.data) and pg_paths.at(server.data)[0] == folder:
        folder = "."  # the account can't enter the folders above
    quoted = '"' + folder.replace('"', '""') + '"'  # PostgreSQL reads it as a list
    lines = [
        f"{name} = '{_escape(value)}'"
        for name, value in {**settings, "unix_socket_directories": quoted}.items()
    ]
    # `nobody` may run the server for root but not log in: other services use that account too.
    callers = {"root", runner.name} - ({"nobody"} if os.geteuid() == 0 else set())
    roles = [*pg_roles.ROLES, *([pg_roles.SUPERUSER] if superuser else [])]
    maps = [f'orbit "{name}" {role}' for name in sorted(callers) for role in roles]
    _write(server.data / "orbit.conf", lines, runner)
    _write(server.data / "pg_ident.conf", maps, runner)
    _write(server.data / "pg_hba.conf", ["local all all peer map=orbit"], runner)


def make_socket_folder(server: Server, runner: Account) -> None:
    """Create the socket's folder. Raises PostgresError if others can enter it."""
    folder = Path(server.host)
    if folder == server.data:
        return
    try:
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)
        os.chown(folder, runner.uid, runner.gid)
    except FileExistsError:
        status = folder.lstat()
        is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        if not is_private or status.st_uid != runner.uid:
            raise PostgresError(
                f"{folder}, the folder of the server's socket, belongs to another account "
                "or is open to others. Remove it."
            ) from None


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
        file.write("\n".join(["# Written by Orbit.", *lines, ""]))
    fresh.replace(path)
