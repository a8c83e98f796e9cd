"""PostgreSQL's own programs, ``pg_dump`` and ``pg_restore``: which one fits the server, and how it is told where to connect.

No password is ever on a command line, where every account of the machine can read it.
"""

import os
import re
import shutil
import subprocess
from importlib import util
from pathlib import Path
from typing import Any

from django.db import connection
from psycopg import pq
from psycopg.conninfo import make_conninfo

from governance.kernel.errors import Kind, OrbitError
from orbit_site.processes.pg_paths import INSTALL, PACKAGE

# Ours, for what runs Orbit's own sessions; pg_dump sets its own time-outs.
_NOT_FOR_THEM = {"options", "application_name", "password", "sslpassword"}


class NoProgram(OrbitError):
    """No program here fits the database server."""

    code, kind = "no_backup_program", Kind.UNAVAILABLE


def find(name: str, *, server: int) -> Path:
    """Return the program ``name`` for a server of the major version ``server``: the installed package's, else the one on PATH.

    A program handles servers of its own version and older ones. Raises NoProgram, saying what to install.
    """
    found = [(path, version(path)) for path in _candidates(name)]
    for path, major in found:
        if major is not None and major >= server:
            return path
    here = (
        ", ".join(f"{path} is {major or 'not usable'}" for path, major in found)
        or "there is none here"
    )
    raise NoProgram(
        f"The database server is PostgreSQL {server}, and {name} must not be older: {here}. "
        f"Install postgresql-client-{server}, and have it on PATH."
    )


def version(program: Path) -> int | None:
    """Return the major version of ``program``, or None when it doesn't run."""
    try:
        said = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, check=False, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"(\d+)", said.partition(")")[2])
    return int(number[1]) if number else None


def connect() -> tuple[str, dict[str, str]]:
    """Return what reaches the database as Django's connection does now: a connection string without secrets, and the environment that has them."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parameters: dict[str, Any] = {
        key: value for key, value in connection.get_connection_params().items() if key in known
    }
    environment = dict(os.environ)
    if parameters.get("password"):
        environment["PGPASSWORD"] = parameters["password"]
    plain = {key: value for key, value in parameters.items() if key not in _NOT_FOR_THEM}
    return make_conninfo("", **plain, fallback_application_name="orbit backup"), environment


def _candidates(name: str) -> list[Path]:
    package = util.find_spec(PACKAGE)
    folders = list(package.submodule_search_locations or []) if package else []
    bundled = [Path(folder) / INSTALL / "bin" / name for folder in folders]
    on_path = shutil.which(name)
    return [path for path in bundled if path.exists()] + ([Path(on_path)] if on_path else [])
