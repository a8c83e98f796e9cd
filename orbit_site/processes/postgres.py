"""Creates, starts, adopts and stops the embedded PostgreSQL.

There is one server per folder, on a socket without a password. A file lock makes one process start
it; others adopt it. A killed server recovers at its next start.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from governance.kernel import files
from orbit_site.processes import pg_data_dir, pg_paths, pg_programs
from orbit_site.processes.pg_paths import Account, PostgresError, Server, locate

__all__ = [
    "PostgresError",
    "Server",
    "ensure",
    "has_ended",
    "held",
    "locate",
    "running",
    "stop",
]

START_SECONDS = 120  # crash recovery included
STOP_SECONDS = 30
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_connections": "120",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u ",
    # The log holds no value of a statement. Terse leaves out details, such as rows that fail.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
}
# Keeps a reference: a Popen that is collected while its process runs gives a warning.
_launched: list[subprocess.Popen[bytes]] = []


def ensure(
    base: Path, *, settings: Mapping[str, str] | None = None, superuser: bool = False
) -> bool:
    """Start the server of ``base``; return False if it runs already. Raises PostgresError."""
    server = locate(base)
    try:
        if _is_ready(server) and running(server):
            return False
        _make_folder(base)
        with _lock(base / "postgres.lock", fcntl.LOCK_EX):
            if process := running(server):
                # If it ends while we wait, start it again.
                with suppress(psutil.NoSuchProcess):
                    _await_ready(server, process)
                    return False
            _start(base, server, dict(SETTINGS) | dict(settings or {}), superuser=superuser)
            return True
    except OSError as error:
        where = error.filename or server.data
        raise PostgresError(
            f"Can't start the embedded PostgreSQL: {where}: {error.strerror}. "
            + files.remedy(error, _writable(base))
        ) from error


def stop(base: Path) -> None:
    """Stop the server of ``base`` and wait for its end."""
    server = locate(base)
    process = running(server)
    if process is None:
        return
    # SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one: the next start recovers.
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10)):
        try:
            process.send_signal(number)
            process.wait(seconds)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue
        return
    raise PostgresError(
        f"The embedded PostgreSQL (process {process.pid}) doesn't stop. See {_log(server)}."
    )


@contextmanager
def held(
    base: Path, *, settings: Mapping[str, str] | None = None, superuser: bool = False
) -> Iterator[Server]:
    """Run the server inside the block; the last process to leave stops it."""
    _make_folder(base)
    with _lock(base / "postgres.users", fcntl.LOCK_SH) as handle:
        # The kernel releases the lock of a killed process.
        owner = os.getpid()
        try:
            ensure(base, settings=settings, superuser=superuser)
            yield locate(base)
        finally:
            # A forked child that unwinds to here shares the lock with its parent.
            if os.getpid() == owner and _last(handle):
                stop(base)


def _last(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _lock(path: Path, kind: int) -> Iterator[int]:
    try:
        handle = files.private_opener(str(path), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise PostgresError(
            f"Can't write {path}: {error.strerror}. {files.remedy(error, _writable(path.parent))}"
        ) from error
    try:
        fcntl.flock(handle, kind)
        yield handle
    finally:
        os.close(handle)


def _make_folder(base: Path) -> None:
    try:
        files.make_private(base, "backups")
        if os.geteuid() == 0 and not pg_paths.HERE.exists():
            base.chmod(0o711)  # the server's account has to go through
    except OSError as error:
        raise PostgresError(
            f"Can't create the folder {base}: {error.strerror}. "
            + files.remedy(error, _writable(base.parent))
        ) from error


def _writable(folder: Path) -> str:
    return (
        f"Make the folder {folder} writable for this user (`ls -ld` shows its owner), "
        "or set DATABASE_URL."
    )


def _start(base: Path, server: Server, settings: dict[str, str], *, superuser: bool) -> None:
    _launched[:] = [process for process in _launched if process.poll() is None]
    runner = pg_paths.account(base)
    _refuse_unreachable(base, server, runner)
    programs = pg_paths.programs(runner)
    if not (server.data / "PG_VERSION").exists():
        pg_data_dir.create(server, runner, programs, quick=settings.get("fsync") == "off")
    version = (server.data / "PG_VERSION").read_text().strip()
    if version != pg_paths.VERSION:
        raise PostgresError(
            f"The data in {server.data} is of PostgreSQL {version}, the programs are of "
            f"{pg_paths.VERSION}. Use pg_upgrade, or restore a backup."
        )
    pg_data_dir.make_socket_folder(server, runner)
    pg_data_dir.configure(server, runner, settings, superuser=superuser)
    if (server.data / "postmaster.pid").exists():
        _end_leftovers(server)
    try:
        _launch(server, runner, programs)
    except PostgresError as error:
        if "shared memory block" not in error.detail:
            raise
        # A backend outlived its killed server and still holds the memory.
        _end_leftovers(server)
        _launch(server, runner, programs)


def _refuse_unreachable(base: Path, server: Server, runner: Account) -> None:
    if not pg_paths.moved(base) or pg_paths.HERE.exists():
        return
    if (base / "postgres" / "PG_VERSION").exists():
        raise PostgresError(
            f"The account {runner.name}, which runs PostgreSQL for root, can't reach the data "
            f"in {base / 'postgres'}. Let it enter the folders above (chmod o+x), "
            "or run as the owner of the project."
        )
    print(
        f"orbit: PostgreSQL doesn't run as root, and the account {runner.name} can't enter "
        f"{base}: the data is in {server.data}",
        file=sys.stderr,
    )


def _launch(server: Server, runner: Account, programs: Path) -> None:
    pg_data_dir.convert(server, runner, programs)
    log = _log(server)
    if log.exists() and log.stat().st_size > 10_000_000:
        log.replace(log.with_suffix(".log.1"))
    with open(log, "ab", opener=files.private_opener) as output:
        begin = output.tell()
        process = pg_programs.serve(programs, server.data, runner, output.fileno())
    _launched.append(process)
    try:
        _await_ready(server, psutil.Process(process.pid))
    except psutil.NoSuchProcess:
        message = pg_programs.problem(log.read_bytes()[begin:].decode(errors="replace"))
        raise PostgresError(
            f"The embedded PostgreSQL ended at its start: {message} (see {log})"
        ) from None


def _await_ready(server: Server, process: psutil.Process) -> None:
    """Wait for connections. Raises psutil.NoSuchProcess if ``process`` ends."""
    until = time.monotonic() + START_SECONDS
    while not (_is_ready(server) and _pid(server) == process.pid):
        if has_ended(process):
            raise psutil.NoSuchProcess(process.pid)
        if time.monotonic() > until:
            raise PostgresError(
                f"The embedded PostgreSQL isn't ready after {START_SECONDS} s. "
                f"It may still be recovering: see {_log(server)}."
            )
        time.sleep(0.01)


def _log(server: Server) -> Path:
    return server.data.with_name("postgres.log")


def _pid_lines(server: Server) -> list[str]:
    try:
        return (server.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_ready(server: Server) -> bool:
    lines = _pid_lines(server)
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _pid(server: Server) -> int | None:
    lines = _pid_lines(server)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def running(server: Server) -> psutil.Process | None:
    """Return the process in the pid file, unless the file is stale."""
    pid = _pid(server)
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return process if _is_ours(process, server) else None
    except psutil.Error:
        return None


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a server that ``running`` returned has ended. It costs less than ``ensure``."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_ours(process: psutil.Process, server: Server) -> bool:
    return Path(process.exe()).name.startswith("postgres") and Path(process.cwd()) == server.data


def _end_leftovers(server: Server) -> None:
    # Processes of a dead server hold its memory, so a new server would refuse to start.
    left = []
    for process in psutil.process_iter():
        try:
            if _is_ours(process, server):
                process.send_signal(signal.SIGQUIT)
                left.append(process)
        except psutil.Error:
            continue
    _, stubborn = psutil.wait_procs(left, timeout=5)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):  # it may end now
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)
    # Both name a dead process, maybe a zombie, which PostgreSQL would take for a live one. We hold
    # the lock of this folder.
    (server.data / "postmaster.pid").unlink(missing_ok=True)
    (Path(server.host) / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
