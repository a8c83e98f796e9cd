"""`up`: database, migrations, web and cluster on one machine, in one foreground process that only watches.

It has one thread, no connection to the database and no Django. Children die with it, by the kernel's word; the database alone stays
when it is killed, and the next `up` adopts it. What is asked of it by a signal is done between two looks at the children, so nothing
is ever half started.
"""

import argparse
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from governance.kernel.errors import Kind, OrbitError
from orbit_site.processes import demo as demonstration
from orbit_site.processes import health, postgres
from orbit_site.processes.children import Child, drain, spawn
from orbit_site.settings import environment

LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 60  # for /ready, before saying what is missing
DATABASE_SECONDS = 3  # between two tries to start a database again that can't be started
REFUSED = 2  # the exit code of a child that can't work with what it was given; starting it again wouldn't help


class UpRefused(OrbitError):
    """`up` can't start here."""

    code, kind = "up_refused", Kind.UNAVAILABLE


class _Ended(Exception):
    """The run ends with this exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--demo",
        action="store_true",
        help="with a demo receiver, an administrator and a first cycle: what `make run` starts",
    )


def main(arguments: list[str]) -> int:
    """Run with the arguments of the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="manage.py up")
    add_arguments(parser)
    return run(demo=parser.parse_args(arguments).demo)


def run(*, demo: bool) -> int:
    """Run everything until SIGTERM, SIGINT or SIGHUP, drain it and return 0; or a child's exit code when it refused to start.

    Raises UpRefused or PostgresError, before anything is started, for a busy port, a second `up` and a folder that can't be written.
    """
    with _only_one(environment.VAR_DIR):
        _refuse_busy_port(environment.PORT)
        session = _Session(demo=demo)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, session.end)
        with session.database():
            return session.run()


@contextmanager
def _only_one(var: Path) -> Iterator[None]:
    try:
        var.mkdir(parents=True, exist_ok=True)
        handle = os.open(var / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UpRefused(
            f"Can't write in {var}: {error.strerror}. Run as the user who owns the project's folder, or make it writable."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(handle, 0)
        os.write(handle, f"process {os.getpid()}, http://127.0.0.1:{environment.PORT}".encode())
        yield
    except BlockingIOError:
        raise UpRefused(
            f"Orbit runs from this folder already ({os.pread(handle, 200, 0).decode() or 'starting'}). "
            "Use that one, or stop it first with Ctrl-C."
        ) from None
    finally:
        os.close(handle)


def _refuse_busy_port(port: int) -> None:
    try:
        socket.create_server(
            (environment.BIND, port),
            family=socket.AF_INET6 if ":" in environment.BIND else socket.AF_INET,
        ).close()
    except OSError as error:
        other = port % 65535 + 1
        raise UpRefused(
            f"Can't listen on port {port}: {error.strerror}. Stop what uses it, or choose another one: PORT={other} make run."
        ) from error


class _Session:
    """One run of `up`, from the first step to the drained end."""

    def __init__(self, *, demo: bool) -> None:
        self._demo = demo
        self._ending = self._ready = False
        self._children: list[Child] = []
        self._environment = dict(os.environ)
        self._began = time.monotonic()
        self._database_due, self._complained = 0.0, float("-inf")

    def end(self, *_: object) -> None:
        """Take note of a signal; a second one adds nothing, since draining is bounded."""
        self._ending = True

    def database(self) -> AbstractContextManager[object]:
        """Have the embedded database running, unless another one is configured."""
        if environment.DATABASE_URL:
            self._say("database", "as DATABASE_URL says")
            return nullcontext()
        self._say(
            "database", f"embedded PostgreSQL, data in {postgres.locate(environment.VAR_DIR).data}"
        )
        return postgres.held(environment.VAR_DIR)

    def run(self) -> int:
        """Start everything, watch it until the end, drain it; return the exit code."""
        code = 0
        try:
            self._start()
            self._until(lambda: False)
        except _Ended as ended:
            code = ended.code
        self._drain()
        return code

    def _start(self) -> None:
        self._say("migrations", "the database is brought to this release")
        if code := self._command("migrate", "--skip-checks", "--verbosity", "0"):
            raise _Ended(code)
        if self._demo:
            self._start_receiver()
        self._say("processes", "web and cluster start")
        self._children += [
            self._child("cluster", self._manage("cluster")),
            self._child("web", self._manage("web")),
        ]
        if self._demo:
            login = self._make_administrator()
        self._until_ready()
        self._ready = True
        self._say(
            "ready",
            f"http://127.0.0.1:{environment.PORT}/admin/  (after {time.monotonic() - self._began:.1f} s)",
        )
        if self._demo:
            print(login, flush=True)
            self._say("first cycle", "on its way")
            self._command(
                *demonstration.first_trigger(environment.BASE_DIR / environment.CONFIG_DIR)
            )
        self._say("running", "Ctrl-C drains and stops")

    def _start_receiver(self) -> None:
        if environment.DISPATCH_ENDPOINTS.strip() not in {"", "[]"}:
            return
        port = demonstration.receiver_port(environment.VAR_DIR)
        self._environment |= demonstration.endpoint(
            environment.VAR_DIR, port, environment.DISPATCH_ALLOWED_HOSTS
        )
        command = [
            sys.executable,
            "-P",
            str(Path(__file__).with_name("aurora.py")),
            str(environment.VAR_DIR),
            str(port),
        ]
        self._children.append(self._child("aurora", command))
        self._say("aurora", f"a demo receiver, which shows what it got: http://127.0.0.1:{port}/")

    def _make_administrator(self) -> str:
        """Have an administrator; return the line that tells how to log in."""
        secret = demonstration.password(environment.VAR_DIR)
        self._environment["ORBIT_PASSWORD"] = secret
        code = self._command(
            "user", "create", "admin", "--role", "administrator", "--superuser", "--if-missing"
        )
        del self._environment["ORBIT_PASSWORD"]
        return (
            "login: no administrator could be made; see above"
            if code
            else f"login: admin / {secret}"
        )

    def _child(self, name: str, command: list[str]) -> Child:
        return Child(name, command, self._environment)

    def _manage(self, *arguments: str) -> list[str]:
        return [sys.executable, str(environment.BASE_DIR / "manage.py"), *arguments]

    def _command(self, *arguments: str) -> int:
        """Run one command of manage.py to its end, watching the others meanwhile; return its exit code."""
        process = spawn(self._manage(*arguments), self._environment)
        try:
            self._until(lambda: process.poll() is not None)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        return process.returncode

    def _until(self, done: Callable[[], bool]) -> None:
        """Watch the children until ``done``. Raises _Ended when a signal came, or when a child refused before all was ready."""
        while not done():
            if self._ending:
                raise _Ended(0)
            if not environment.DATABASE_URL:
                self._tend_database()
            for child in self._children:
                code = child.tend()
                if code == REFUSED and not self._ready:
                    raise _Ended(REFUSED)
                if code is not None and not self._ending:
                    self._say(child.name, f"ended ({code}) and is started again")
            time.sleep(LOOK_SECONDS)

    def _tend_database(self) -> None:
        """Start the embedded server again when it has ended. What hinders that once all was ready, such as a full disk, may pass: it is tried again."""
        if time.monotonic() < self._database_due:
            return
        try:
            if postgres.ensure(environment.VAR_DIR):
                self._say("database", "had ended, and is started again")
        except postgres.PostgresError as error:
            if not self._ready:
                raise
            self._database_due = time.monotonic() + DATABASE_SECONDS
            if time.monotonic() - self._complained > PATIENCE_SECONDS:
                self._complained = time.monotonic()
                self._say(
                    "database",
                    f"can't be started again, and is tried every {DATABASE_SECONDS} s: {error.detail}",
                )

    def _until_ready(self) -> None:
        patience = time.monotonic() + PATIENCE_SECONDS

        def ready() -> bool:
            nonlocal patience
            answer = health.ready()
            if answer != "" and time.monotonic() > patience:
                patience = time.monotonic() + PATIENCE_SECONDS
                self._say("not ready", answer)
            return answer == ""

        self._until(ready)

    def _drain(self) -> None:
        if self._children:
            self._say(
                "stopping", f"running cycles get up to {environment.DRAIN_SECONDS} s to finish"
            )
        # The receiver goes last: what drains still delivers.
        drain(
            [child for child in self._children if child.name != "aurora"],
            seconds=environment.DRAIN_SECONDS + 10,
        )
        drain([child for child in self._children if child.name == "aurora"], seconds=5)
        self._say("stopped", "everything that this command started")

    def _say(self, what: str, text: str) -> None:
        print(f"{what:<12}{text}", flush=True)
