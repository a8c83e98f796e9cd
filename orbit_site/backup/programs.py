"""Find the ``pg_dump`` and ``pg_restore`` that fit the server and the session with it."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path

from psycopg.conninfo import make_conninfo

from governance.kernel.errors import Kind, OrbitError
from orbit_site.processes.pg_paths import INSTALL, PACKAGE

LIBPQ = "libpq-*.so.5*"
_SECONDS = 30
#: Only the folder of a socket that isn't there: a program that gets this far has understood all.
_NOWHERE = "/nonexistent/orbit"


class NoProgram(OrbitError):
    """No installed program fits the server."""

    code, kind = "no_backup_program", Kind.UNAVAILABLE


@dataclass(frozen=True)
class Program:
    """A program and the variables that it needs."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)


def find(name: str, *, server: int) -> Path:
    """Return the program ``name`` for a server of major version ``server``. Raises NoProgram."""
    return _fitting(name, server)[0].path


def find_for(name: str, *, server: int, parameters: Mapping[str, str]) -> Program:
    """Return one that can also connect with ``parameters`` of libpq. Raises NoProgram."""
    refusals = []
    for program in _fitting(name, server):
        for candidate in (program, *_with_our_libpq(program)):
            refusal = _refusal(candidate, parameters)
            if not refusal:
                return candidate
            refusals.append(f"{candidate.path}: {refusal}")
    raise NoProgram(
        f"No {name} here can connect as Orbit does (sslmode={parameters.get('sslmode')}): "
        f"{'; '.join(dict.fromkeys(refusals))}. Nothing was written. "
        f"Install postgresql-client-{server} or newer on PATH."
    )


def version(program: Path) -> int | None:
    """Return the major version of ``program``; None if it doesn't run."""
    try:
        output = subprocess.run(
            [str(program), "--version"],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"(\d+)", output.partition(")")[2])
    return int(number[1]) if number else None


def environment() -> dict[str, str]:
    """Return our environment without Orbit's settings: they hold secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORBIT_", "DJANGO_")) and name != "DATABASE_URL"
    }


def _fitting(name: str, server: int) -> list[Program]:
    # A program handles servers of its own and of older versions.
    candidates = [(path, version(path)) for path in _candidates(name)]
    fitting = [Program(path) for path, major in candidates if major is not None and major >= server]
    if fitting:
        return fitting
    versions = [f"{path} is {major or 'not usable'}" for path, major in candidates]
    raise NoProgram(
        f"The database server is PostgreSQL {server}, and {name} must not be older: "
        f"{', '.join(versions) or 'none is installed'}. "
        f"Install postgresql-client-{server} on PATH."
    )


def _refusal(program: Program, parameters: Mapping[str, str]) -> str:
    """Say why ``program`` can't connect like this; "" if it can."""
    # libpq reads all parameters before it connects.
    local = {key: value for key, value in parameters.items() if key != "hostaddr"}
    conninfo = make_conninfo("", **{**local, "host": _NOWHERE})
    try:
        done = subprocess.run(
            [str(program.path), "--no-password", f"--dbname={conninfo}"],
            env={**environment(), **program.variables, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if _NOWHERE in done.stderr:
        return ""
    return " ".join(done.stderr.split()).removeprefix("pg_dump: error: ")[:300] or "it doesn't run"


def _with_our_libpq(program: Program) -> list[Program]:
    """Return ``program`` with psycopg's libpq.

    That of the embedded PostgreSQL lacks TLS. With psycopg's, it connects exactly as we do.
    """
    package = util.find_spec("psycopg_binary")
    if PACKAGE not in program.path.parts or package is None:
        return []
    folders = [Path(folder) for folder in package.submodule_search_locations or []]
    libraries = [
        library
        for folder in folders
        for library in folder.with_name(f"{folder.name}.libs").glob(LIBPQ)
    ]
    # The loader splits its list at these.
    return [
        Program(program.path, {"LD_PRELOAD": str(library), "LD_BIND_NOW": "1"})
        for library in libraries
        if not set(" :") & set(str(library))
    ]


def _candidates(name: str) -> list[Path]:
    package = util.find_spec(PACKAGE)
    folders = list(package.submodule_search_locations or []) if package else []
    bundled = [Path(folder) / INSTALL / "bin" / name for folder in folders]
    on_path = shutil.which(name)
    return [path for path in bundled if path.exists()] + ([Path(on_path)] if on_path else [])
