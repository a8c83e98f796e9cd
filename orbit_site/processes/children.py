"""The child processes of `up`: started, started again when they die, drained together."""

import functools
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping

from orbit_site.processes.parent_death import die_with_parent

FIRST_WAIT, LONGEST_WAIT = (
    0.5,
    30.0,
)  # seconds before a dead child is started again; doubled each time
STEADY_SECONDS = 60.0  # a child that lived for this long starts afresh


def spawn(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start ``command`` so that it dies with us and that a Ctrl-C on the terminal reaches us alone."""
    # The forking thread is our only one, so that a function in the child is safe.
    return subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=functools.partial(die_with_parent, os.getpid()),
    )


class Child:
    """One process that is to be there all the time."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        self.name, self._command, self._environment = name, command, environment
        self._wait = FIRST_WAIT
        self._due = 0.0
        self._start()

    def tend(self) -> int | None:
        """Start the process again when it is dead and its wait is over; return its exit code once for each death."""
        now = time.monotonic()
        if self._due:
            if now >= self._due:
                self._start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        self._wait = (
            FIRST_WAIT if now - self._began > STEADY_SECONDS else min(self._wait * 2, LONGEST_WAIT)
        )
        self._due = now + self._wait
        return code

    def _start(self) -> None:
        self._due, self._began = 0.0, time.monotonic()
        self.process = spawn(self._command, self._environment)


def drain(children: Iterable[Child], *, seconds: float) -> None:
    """Ask the children to end and return when they have; what is left after ``seconds`` is killed, with all that it started."""
    processes = [child.process for child in children]
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    until = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(
                process.pid, signal.SIGKILL
            )  # its own session, so its group is it and its descendants
            process.wait()
