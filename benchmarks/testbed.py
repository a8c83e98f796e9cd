"""The testbed: a folder with a copy of the project, PostgreSQL and a sink."""

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from cryptography.fernet import Fernet
from psycopg import sql

from benchmarks.meters import LOG_PREFIX, Used, cpu_seconds
from benchmarks.sink import TOKEN
from orbit_site.processes import postgres
from orbit_site.processes.pg_roles import SUPERUSER
from orbit_site.processes.postgres import Server

PROJECT = Path(__file__).resolve().parent.parent
NAMESPACES = 500
WATCHER = "benchmark"


def run_profile_id(number: int) -> str:
    """Return the run profile of the namespace ``number``."""
    return f"bench-{number % NAMESPACES}"


@dataclass(frozen=True, slots=True)
class Testbed:
    """What runs during a benchmark."""

    folder: Path
    server: Server
    server_pid: int
    sink_port: int

    @property
    def project(self) -> Path:
        """The copy of the project that runs."""
        return self.folder / "project"

    @property
    def log(self) -> Path:
        """The output of the measured processes."""
        return self.folder / "processes.log"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of Orbit's processes."""
        return self.environment_of("orbit")

    def environment_of(self, database: str) -> dict[str, str]:
        """Return the variables of processes that use ``database``."""
        keys = json.loads((self.folder / "secrets.json").read_text())
        target = {
            "key": "default-endpoint",
            "url": f"http://127.0.0.1:{self.sink_port}/deliver",
            "method": "POST",
            "token": TOKEN,
        }
        return {
            **bare_environment(),
            **keys,
            "DJANGO_SETTINGS_MODULE": "orbit_site.settings",
            "ORBIT_ENV": "production",
            "DATABASE_URL": self.server.url("orbit_app", database),
            "ORBIT_OWNER_DATABASE_URL": self.server.url("orbit_owner", database),
            "ORBIT_ALLOWED_HOSTS": "127.0.0.1",
            "ORBIT_CRON_SCHEDULE": "",
            "ORBIT_CONFIG_DIR": str(self.folder / "config"),
            "ORBIT_DISPATCH_ALLOWED_HOSTS": "127.0.0.1",
            "ORBIT_DISPATCH_ENDPOINTS": json.dumps([target]),
            "ORBIT_LOG_FORMAT": "text",
        }

    def watch(self, database: str, *, owner: bool = False) -> psycopg.Connection:
        """Return a connection that is named in the server's log."""
        return psycopg.connect(
            self.server.url(SUPERUSER if owner else "orbit_app", database),
            autocommit=True,
            application_name=WATCHER,
        )

    def used(self, pid: int) -> Used:
        """Return the CPU time of ``pid`` and of PostgreSQL."""
        return Used(cpu_seconds(pid), cpu_seconds(self.server_pid))

    def commits(self, database: str) -> int:
        """Return the number of commits in ``database``."""
        # Ended sessions report their commits within a second.
        time.sleep(1.2)
        with self.watch("postgres") as connection:
            row = connection.execute(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", [database]
            ).fetchone()
        return int(row[0]) if row else 0

    def manage(self, *words: str) -> str:
        """Run a command; return its output. Raises RuntimeError."""
        return self._output("manage.py", *words)

    def clone(self, database: str) -> None:
        """Copy the configured database, which nothing may use meanwhile."""
        copy = sql.SQL("CREATE DATABASE {} OWNER orbit_owner TEMPLATE orbit")
        with self.watch("postgres", owner=True) as connection:
            connection.execute(copy.format(sql.Identifier(database)))

    def measured(self, benchmark: str, *words: str, database: str = "orbit") -> Any:
        """Run the module of a benchmark as a process of its own; return the JSON of its last line.

        Raises RuntimeError.
        """
        output = self._output("-m", f"benchmarks.{benchmark}", *words, database=database)
        return json.loads(output.splitlines()[-1])

    def _output(self, *words: str, database: str = "orbit") -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.project,
            env=self.environment_of(database),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-3000:]}"
            )
        return done.stdout

    @contextmanager
    def running(
        self, *words: str, environment: Mapping[str, str] | None = None, **options: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a process inside the block; its output goes to ``self.log``."""
        with self.log.open("a") as log:
            streams = {"stdout": log, "stderr": log, **options}
            process = subprocess.Popen(
                list(words),
                cwd=self.project,
                env=dict(environment or self.environment),
                text=True,
                **streams,
            )
        try:
            yield process
        finally:
            end(process)

    def sink(self, method: str, path: str) -> dict[str, Any]:
        """Send a request to the sink; return its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sink_port, timeout=10)
        try:
            connection.request(method, path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


def bare_environment() -> dict[str, str]:
    """Return the environment without variables of Orbit."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ORBIT_") and name not in {"DATABASE_URL", "PORT"}
    }


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Return whether the web server at ``port`` answers ``path`` with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def until(done: Callable[[], object], what: str, *, seconds: float, every: float = 0.1) -> None:
    """Wait until ``done``. Raises RuntimeError after ``seconds``."""
    patience = time.monotonic() + seconds
    while not done():
        if time.monotonic() > patience:
            raise RuntimeError(f"{what}: not within {seconds:g} s")
        time.sleep(every)


def end(process: "subprocess.Popen[str]") -> None:
    """Send SIGTERM, then SIGKILL after a minute."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def prepared(within: str | None = None) -> Iterator[Testbed]:
    """Create the testbed with a configured Orbit; remove it at the end."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="orbit-bench-", dir=within))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # root's PostgreSQL runs as another account
        # A copy, so that later changes of the project don't matter.
        left_out = shutil.ignore_patterns(".*", "var", "__pycache__", "staticfiles", "node_modules")
        shutil.copytree(PROJECT, folder / "project", ignore=left_out)
        _write_secrets(folder)
        _write_configuration(folder / "config")
        # PostgreSQL's defaults: every commit is flushed to disk.
        server = stack.enter_context(
            postgres.held(
                folder / "database",
                settings={"log_line_prefix": LOG_PREFIX, "max_connections": "300"},
                superuser=True,
            )
        )
        sink = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sink"],
            cwd=folder / "project",
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(end, sink)
        assert sink.stdout is not None
        program = postgres.running(server)
        if program is None:
            raise RuntimeError("the database has ended")
        testbed = Testbed(folder, server, program.pid, int(sink.stdout.readline()))
        with testbed.watch("postgres", owner=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE baseline OWNER orbit_app"))
        testbed.manage("migrate", "--verbosity", "0")
        testbed.manage("config", "reload")
        try:
            yield testbed
        except Exception:
            print(testbed.log.read_text()[-5000:] if testbed.log.exists() else "", file=sys.stderr)
            raise


def on_disk(folder: Path) -> bool:
    """Tell whether ``folder`` is on a disk: in memory, a flush costs nothing."""
    mounts = sorted(
        (part.mountpoint, part.fstype)
        for part in psutil.disk_partitions(all=True)
        if folder.is_relative_to(part.mountpoint)
    )
    return not mounts or mounts[-1][1] not in {"tmpfs", "ramfs"}


def _write_secrets(folder: Path) -> None:
    values = {
        "ORBIT_SECRET_KEY": secrets.token_urlsafe(48),
        "ORBIT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ORBIT_PASSWORD": secrets.token_urlsafe(16),
    }
    (folder / "secrets.json").write_text(json.dumps(values))
    (folder / "secrets.json").chmod(0o600)


def _write_configuration(folder: Path) -> None:
    folder.mkdir()
    profiles = [{"profile_id": "bench", "label": "Benchmark", "state": "enabled"}]
    run_profiles = [
        {
            "run_profile_id": run_profile_id(number),
            "profile_id": "bench",
            "namespace": f"ns-{number}",
            "state": "enabled",
        }
        for number in range(NAMESPACES)
    ]
    (folder / "profiles.json").write_text(json.dumps(profiles))
    (folder / "runProfiles.json").write_text(json.dumps(run_profiles))
