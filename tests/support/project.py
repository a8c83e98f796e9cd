"""A copy of the project with its own ``var`` and database."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from orbit_site.processes import pg_paths, postgres
from tests.support import processes
from tests.support.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
PARTS = (
    "manage.py",
    "prepare.py",
    "requirements.txt",
    "requirements-dev.txt",
    "orbit_site",
    "orbit",
    "telemetry",
    "advisory",
    "governance",
    "templates",
    "config",
    "demo",
)


@dataclass(frozen=True)
class Project:
    """The copy's folder and its commands' environment."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def var(self) -> Path:
        return self.folder / "var"

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start ``manage.py`` in its own process group."""
        return subprocess.Popen(
            [sys.executable, str(self.folder / "manage.py"), *arguments],
            cwd="/",
            env={**self.environment, **more},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Run ``manage.py``; return its exit code and output."""
        process = self.start(*arguments, **more)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output


def copy(folder: Path, **more: str) -> Project:
    """Copy the project to ``folder``, without this process's settings."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = PROJECT / part
        if source.is_dir():
            # With compiled code, which would take each copy a second.
            shutil.copytree(source, folder / part)
        elif source.exists():
            shutil.copy2(source, folder / part)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORBIT_", "DATABASE_URL", "PORT", "DJANGO_"))
    }
    return Project(folder, {**kept, "PYTHONUNBUFFERED": "1", "PORT": str(free_port()), **more})


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that any account can enter: root's server runs as another.

    At the end its servers are stopped.
    """
    folder = Path(tempfile.mkdtemp(prefix="orbit-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        folder.chmod(0o755)
        for base in {path.parent for path in folder.rglob("postgres.lock")}:
            server = postgres.locate(base)
            postgres.stop(base)
            if server.host != str(server.data):
                shutil.rmtree(server.host, ignore_errors=True)
            if pg_paths.moved(base):
                shutil.rmtree(server.data.parent)
        # A test that failed may leave processes.
        for process in processes_in(folder):
            processes.kill(process.pid)
        shutil.rmtree(folder)


class Talking:
    """A command whose output is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[str]()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, *, seconds: float = 120) -> str:
        """Return the first line that contains ``text``."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if ended := self.process.poll() is not None:
                self._reader.join(10)  # its last lines; a child may keep the pipe open
            for line in list(self.lines):
                if text in line:
                    return line
            if ended:
                break
            time.sleep(0.05)
        raise AssertionError(
            f"no line with {text!r} (exit code {self.process.poll()}) in:\n" + "".join(self.lines)
        )

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that run in ``folder``."""
    return [process for process in psutil.process_iter() if _is_in(process, folder)]


def _is_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return processes.lives(process) and (
            str(folder) in " ".join(process.cmdline()) or process.cwd().startswith(str(folder))
        )
    except psutil.Error:  # it ended, or is another account's
        return False


def commands_in(folder: Path) -> list[str]:
    """Return the command lines of the processes in ``folder``."""
    return [processes.words(process) for process in processes_in(folder)]
