"""Find the ``pg_dump`` and ``pg_restore`` that fit the server."""

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

# For Orbit's own sessions, or secret. pg_dump sets its own time-outs.
_LEFT_OUT = {"options", "application_name", "password", "sslpassword"}


class NoProgram(OrbitError):
    """No installed program fits the server."""

    code, kind = "no_backup_program", Kind.UNAVAILABLE


def find(name: str, *, server: int) -> Path:
    """Return the program ``name`` for a server of major version ``server``. Raises NoProgram."""
    # A program handles servers of its own and of older versions.
    candidates = [(path, version(path)) for path in _candidates(name)]
    for path, major in candidates:
        if major is not None and major >= server:
            return path
    versions = [f"{path} is {major or 'not usable'}" for path, major in candidates]
    raise NoProgram(
        f"The database server is PostgreSQL {server}, and {name} must not be older: "
        f"{', '.join(versions) or 'none is installed'}. "
        f"Install postgresql-client-{server} on PATH."
    )


def version(program: Path) -> int | None:
    """Return the major version of ``program``; None if it doesn't run."""
    try:
        output = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, check=False, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"(\d+)", output.partition(")")[2])
    return int(number[1]) if number else None


def connect() -> tuple[str, dict[str, str]]:
    """Return a connection string without secrets, and an environment with them."""
    keywords = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parameters: dict[str, Any] = {
        key: value for key, value in connection.get_connection_params().items() if key in keywords
    }
    environment = dict(os.environ)
    # Every account of the machine can read a command line.
    if parameters.get("password"):
        environment["PGPASSWORD"] = parameters["password"]
    plain = {key: value for key, value in parameters.items() if key not in _LEFT_OUT}
    return make_conninfo("", **plain, fallback_application_name="orbit backup"), environment


def _candidates(name: str) -> list[Path]:
    package = util.find_spec(PACKAGE)
    folders = list(package.submodule_search_locations or []) if package else []
    bundled = [Path(folder) / INSTALL / "bin" / name for folder in folders]
    on_path = shutil.which(name)
    return [path for path in bundled if path.exists()] + ([Path(on_path)] if on_path else [])
