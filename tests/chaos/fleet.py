"""The clusters of a scenario: started, looked into, killed with real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")


class Late(AssertionError):
    """Something did not come within its time."""


def until(look: Callable[[], T | None], seconds: float, what: str, *, every: float = 0.02) -> T:
    """Return what ``look`` returns once it is true. Raises Late, which says ``what`` was missing, after ``seconds``."""
    ends = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > ends:
            raise Late(f"{what} (after {seconds:g} s)")
        time.sleep(every)
    return found


class Member:
    """A running ``manage.py cluster`` in a group of its own; what it says goes to ``log``."""

    def __init__(
        self, project: Path, environment: Mapping[str, str], log: Path, command: str = "cluster"
    ) -> None:
        self.log = log
        self._family: set[int] = set()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", command],
                cwd=project,
                env=dict(environment),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[int]:
        """Return the live children."""
        with suppress(psutil.NoSuchProcess):
            found = [
                child.pid
                for child in psutil.Process(self.pid).children()
                if child.status() != psutil.STATUS_ZOMBIE
            ]
            self._family.update(found)
            return found
        return []

    def owns(self, pid: int) -> bool:
        """Tell whether ``pid`` is a process of this cluster."""
        return pid == self.pid or pid in self.children()

    def orphans(self) -> list[int]:
        """Return the processes that were seen as children of this cluster and live on."""
        return [pid for pid in self._family if _lives(pid)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        self.children()
        self.process.send_signal(number)

    def send_group(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        self.children()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def code(self, seconds: float) -> int:
        """Return the exit code, waiting at most ``seconds``. Raises Late."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"the cluster {self.pid} doesn't end (after {seconds:g} s)") from None

    def end(self) -> None:
        """Kill whatever is left of it."""
        self.children()
        for pid in [self.pid, *self.orphans()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def kill(pid: int) -> float:
    """SIGKILL a process and return the moment (Unix time). One that is gone already is no error."""
    assert pid > 1
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return time.time()


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
