"""`up`: database, migrations, web and cluster in one foreground process.

It has one thread, no database connection and no Django. Signals are handled between two checks of
the children, so nothing is ever half started.
"""

import argparse
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

import psutil

from governance.kernel import files, terminal
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.throttled_log import ThrottledLog
from orbit_site.processes import first_run, health, listen_problem, postgres
from orbit_site.processes.children import ChildProcess, drain, spawn
from orbit_site.settings import environment

# A child that ends wakes us before.
CHECK_SECONDS = 1.0
#: While something starts.
SHORT_CHECK_SECONDS = 0.2
NOT_READY_SECONDS = 60  # time to start before saying what is missing
DATABASE_RETRY_SECONDS = 3
REFUSED = 2  # exit code of a child that refuses its settings; starting it again wouldn't help


class UpRefused(OrbitError):
    """`up` can't start here."""

    code, kind = "up_refused", Kind.UNAVAILABLE


class _Ended(Exception):
    """End the run with this exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--demo",
        action="store_true",
        help="with a demo receiver, an administrator and a first cycle: what `make run` starts",
    )


def main(arguments: list[str]) -> int:
    """Run with the command line's arguments; return the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py up")
    add_arguments(parser)
    return run(demo=parser.parse_args(arguments).demo)


def run(*, demo: bool) -> int:
    """Run everything until a signal, drain it; return 0 or a refusing child's exit code.

    Raises UpRefused or PostgresError before anything starts.
    """
    with _single_instance(environment.VAR_DIR):
        _refuse_busy_port(environment.ORBIT_PORT)
        session = _Session(demo=demo)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, session.end)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        with session.database():
            return session.run()


@contextmanager
def _single_instance(var: Path) -> Iterator[None]:
    try:
        files.make_private(var, "backups")
        handle = files.private_opener(str(var / "up.lock"), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        owner = "Run as the owner of the project's folder, or make it writable."
        raise UpRefused(
            f"Can't write in {var}: {error.strerror}. {files.remedy(error, owner)}"
        ) from error
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(handle, 200, 0).decode() or "starting"
        raise UpRefused(
            f"Orbit already runs from this folder ({other}). Use it, or stop it with Ctrl-C."
        ) from None
    with suppress(OSError):  # for that message alone
        os.truncate(handle, 0)
        os.write(
            handle, f"process {os.getpid()}, http://127.0.0.1:{environment.ORBIT_PORT}".encode()
        )


@contextmanager
def _preparing_the_demo(var: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        writable = f"Make {var} writable, or start without it: manage.py up."
        raise UpRefused(
            f"Can't prepare the demo in {var}: {error.strerror or error}. "
            f"{files.remedy(error, writable)}"
        ) from error


def _refuse_busy_port(port: int) -> None:
    try:
        socket.create_server(
            (environment.ORBIT_BIND, port),
            family=socket.AF_INET6 if ":" in environment.ORBIT_BIND else socket.AF_INET,
        ).close()
    except OSError as error:
        other = port % 65535 + 1 if port >= 1024 else 3000
        advice = listen_problem.advice(
            error,
            environment.ORBIT_BIND,
            port,
            other_port=f"choose another port: PORT={other} make run",
        )
        raise UpRefused(f"Can't listen on port {port}: {error.strerror}. {advice}") from error


class _Session:
    """One run of `up`."""

    def __init__(self, *, demo: bool) -> None:
        self._demo = demo
        self._wakeup, wakeup_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        self._ending = self._ready = False
        self._children: list[ChildProcess] = []
        self._environment = dict(os.environ)
        self._started_at = time.monotonic()
        self._database: psutil.Process | None = None
        self._database_check_at = 0.0
        self._database_log = ThrottledLog(lambda line: self._say("database", line))

    def end(self, *_: object) -> None:
        # A second signal adds nothing: draining is bounded.
        self._ending = True

    def database(self) -> AbstractContextManager[object]:
        """Run the embedded database in the block, unless DATABASE_URL is set."""
        if environment.DATABASE_URL:
            self._say("database", "the one in DATABASE_URL")
            return nullcontext()
        self._say(
            "database", f"embedded PostgreSQL, data in {postgres.locate(environment.VAR_DIR).data}"
        )
        if environment.IGNORED_LIBPQ_VARIABLES:
            self._say(
                "database",
                f"not used: {', '.join(environment.IGNORED_LIBPQ_VARIABLES)}. "
                "To use another server, set DATABASE_URL",
            )
        return postgres.held(environment.VAR_DIR)

    def run(self) -> int:
        code = 0
        try:
            self._start()
            self._watch_until(lambda: False)
        except _Ended as ended:
            code = ended.code
        self._drain()
        return code

    def _start(self) -> None:
        self._say("migrations", "applying those of this release")
        if code := self._command("migrate", "--skip-checks", "--verbosity", "0"):
            raise _Ended(code)
        if self._demo:
            self._start_receiver()
        self._say("processes", "starting web and cluster")
        self._children += [
            self._child("cluster", self._manage("cluster")),
            self._child("web", self._manage("web")),
        ]
        if self._demo:
            login = self._make_administrator()
        self._wait_until_ready()
        self._ready = True
        self._say(
            "ready",
            f"http://127.0.0.1:{environment.ORBIT_PORT}/admin/  "
            f"(after {time.monotonic() - self._started_at:.1f} s)",
        )
        if self._demo:
            _print(login)
            self._say("first cycle", "running")
            self._command(*first_run.trigger_command(environment.ORBIT_CONFIG_DIR))
        self._say("running", "Ctrl-C drains and stops")

    def _start_receiver(self) -> None:
        if environment.ORBIT_DISPATCH_ENDPOINTS.strip() not in {"", "[]"}:
            return
        with _preparing_the_demo(environment.VAR_DIR):
            port = first_run.receiver_port(environment.VAR_DIR)
            self._environment |= first_run.endpoint_variables(
                environment.VAR_DIR, port, environment.ORBIT_DISPATCH_ALLOWED_HOSTS
            )
        program = environment.BASE_DIR / "demo" / "aurora.py"
        command = [sys.executable, "-P", str(program), str(environment.VAR_DIR), str(port)]
        self._children.append(self._child("aurora", command))
        self._say("aurora", f"a demo receiver with a page: http://127.0.0.1:{port}/")

    def _make_administrator(self) -> str:
        """Create an administrator if needed; return the line about the login."""
        with _preparing_the_demo(environment.VAR_DIR):
            secret = first_run.admin_password(environment.VAR_DIR)
        self._environment["ORBIT_PASSWORD"] = secret
        code = self._command(
            "user", "create", "admin", "--role", "administrator", "--superuser", "--if-missing"
        )
        del self._environment["ORBIT_PASSWORD"]
        if code:
            return "login: no administrator was created; see above"
        return f"login: admin / {secret}"

    def _child(self, name: str, command: list[str]) -> ChildProcess:
        return ChildProcess(name, command, self._environment)

    def _manage(self, *arguments: str) -> list[str]:
        return [sys.executable, str(environment.BASE_DIR / "manage.py"), *arguments]

    def _command(self, *arguments: str) -> int:
        """Run a manage.py command while watching the children."""
        process = spawn(self._manage(*arguments), self._environment)
        try:
            self._watch_until(lambda: process.poll() is not None)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        return process.returncode

    def _watch_until(self, done: Callable[[], bool]) -> None:
        """Restart children that end, until ``done``. Raises _Ended."""
        while not done():
            if self._ending:
                raise _Ended(0)
            if not environment.DATABASE_URL:
                self._check_database()
            for child in self._children:
                code = child.check()
                if code == REFUSED and not self._ready:
                    raise _Ended(REFUSED)
                if code is not None and not self._ending:
                    self._say(child.name, f"ended ({code}) and is started again")
            self._sleep()

    def _sleep(self) -> None:
        """Wait for a signal or the next check."""
        is_calm = self._ready and all(child.is_started for child in self._children)
        seconds = CHECK_SECONDS if is_calm else SHORT_CHECK_SECONDS
        if select.select([self._wakeup], [], [], seconds)[0]:
            os.read(self._wakeup, 4096)

    def _check_database(self) -> None:
        if self._database is not None and not postgres.has_ended(self._database):
            return
        if time.monotonic() < self._database_check_at:
            return
        try:
            if postgres.ensure(environment.VAR_DIR):
                self._say("database", "had ended, and is started again")
            self._database = postgres.running(postgres.locate(environment.VAR_DIR))
        except postgres.PostgresError as error:
            if not self._ready:
                raise
            # The cause, such as a full disk, may go away: try again.
            self._database_check_at = time.monotonic() + DATABASE_RETRY_SECONDS
            self._database_log.report(
                f"can't be started again; next try in {DATABASE_RETRY_SECONDS} s", error.detail
            )

    def _wait_until_ready(self) -> None:
        not_ready = ThrottledLog(lambda line: self._say("not ready", line))
        report_from = time.monotonic() + NOT_READY_SECONDS

        def ready() -> bool:
            problem = health.ready()
            if problem and time.monotonic() > report_from:
                not_ready.report("/ready", problem)
            return not problem

        self._watch_until(ready)

    def _drain(self) -> None:
        if self._children:
            self._say(
                "stopping",
                f"running cycles get up to {environment.ORBIT_DRAIN_SECONDS} s to finish",
            )
        # The receiver stops last: draining cycles still deliver.
        drain(
            [child for child in self._children if child.name != "aurora"],
            seconds=environment.ORBIT_DRAIN_SECONDS + 10,
        )
        drain([child for child in self._children if child.name == "aurora"], seconds=5)
        self._say("stopped", "all processes of this command")

    def _say(self, what: str, text: str) -> None:
        _print(f"{what:<12}{terminal.escape(text)}")


def _print(line: str) -> None:
    # Orbit goes on without a reader: `make run | head` must not end it.
    with suppress(OSError):
        print(line, flush=True)
