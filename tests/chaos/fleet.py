"""The clusters of a scenario: started, observed, killed with real signals."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

from tests.support import processes

T = TypeVar("T")


# A bound for a busy machine, not an expected time.
LIMIT = 60.0


class Late(AssertionError):
    """Something did not happen within its time."""


def until(
    condition: Callable[[], T | None], seconds: float, what: str, *, every: float = 0.02
) -> T:
    """Return what ``condition`` returns once it is true. Raises Late with ``what``."""
    ends = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > ends:
            raise Late(f"{what} (after {seconds:g} s)")
        time.sleep(every)
    return value


class Member:
    """A running ``manage.py cluster`` in a process group of its own. It writes to ``log``.

    ``program`` is what runs ``command``.
    """

    def __init__(
        self,
        project: Path,
        environment: Mapping[str, str],
        log: Path,
        command: str = "cluster",
        program: Sequence[str] = ("manage.py",),
    ) -> None:
        self.log = log
        self._family: set[psutil.Process] = set()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program, command],
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
        live = processes.children(self.pid)
        self._family.update(live)
        return [child.pid for child in live]

    def owns(self, pid: int) -> bool:
        """Tell whether ``pid`` is a process of this cluster."""
        return pid == self.pid or pid in self.children()

    def surviving_children(self) -> list[int]:
        """Return the former children of this cluster that are still alive."""
        return [child.pid for child in self._family if processes.lives(child)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        self.children()
        self.process.send_signal(number)

    def send_group(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        self.children()
        processes.kill_group(self.pid, number)

    def suspend(self) -> None:
        """Suspend the whole group; return when nothing of it runs."""
        self.children()
        processes.suspend_group(self.pid)

    def code(self, seconds: float) -> int:
        """Return the exit code, waiting at most ``seconds``. Raises Late."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"the cluster {self.pid} doesn't end (after {seconds:g} s)") from None

    def end(self) -> None:
        """Kill all its processes."""
        self.children()
        for pid in [self.pid, *self.surviving_children()]:
            processes.kill(pid)
        self.process.wait()


def kill(pid: int) -> float:
    """SIGKILL a process and return the Unix time. A process that has ended is no error."""
    processes.kill(pid)
    return time.time()
