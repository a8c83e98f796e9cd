"""The child processes of `up`: started, restarted, drained."""

import functools
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping

from orbit_site.processes.parent_death import die_with_parent
from orbit_site.processes.restart_backoff import RestartBackoff

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
STEADY_SECONDS = 60.0


def spawn(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start ``command`` in its own session; on Linux it dies with us."""
    # We have one thread, so running Python between fork and exec is safe.
    return subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C reaches us alone
        preexec_fn=functools.partial(die_with_parent, os.getpid()),
    )


class ChildProcess:
    """A command that is restarted when it ends."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        self.name, self._command, self._environment = name, command, environment
        self._backoff = RestartBackoff(
            first=2 * FIRST_WAIT_SECONDS,
            longest=LONGEST_WAIT_SECONDS,
            steady=STEADY_SECONDS,
            least=FIRST_WAIT_SECONDS,
        )
        self._restart_at: float | None = None
        self._start()

    @property
    def is_started(self) -> bool:
        """Whether it needs no restart, as far as the last check knows."""
        return self._restart_at is None

    def check(self) -> int | None:
        """Return the exit code once after an end; restart after the wait."""
        now = time.monotonic()
        if self._restart_at is not None:
            if now >= self._restart_at:
                self._start()
            return None
        code = self.process.poll()
        if code is not None:
            self._restart_at = now + self._backoff.wait(now - self._started_at)
        return code

    def _start(self) -> None:
        self._restart_at, self._started_at = None, time.monotonic()
        self.process = spawn(self._command, self._environment)


def drain(children: Iterable[ChildProcess], *, seconds: float) -> None:
    """Send SIGTERM; after ``seconds``, kill the remaining process groups."""
    processes = [child.process for child in children]
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own session
            process.wait()
