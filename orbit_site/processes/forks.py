"""Forked child processes: started, watched, replaced, drained.

The parent has one thread and no database connection, so it can fork at any time and a hanging
server can't block it. Its children stamp a shared page without a lock, so a dead child can't leave
a lock behind.
"""

import logging
import mmap
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from orbit.tracing import report
from orbit_site.processes.parent_death import die_with_parent
from orbit_site.processes.restart_backoff import RestartBackoff

log = logging.getLogger(__name__)

#: A child that is silent for this long is stuck: it is killed and replaced.
SILENT_SECONDS = 10.0
# Time for the children beyond the time for draining.
GRACE_SECONDS = 5.0
STEADY_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 10.0
CHECK_SECONDS = 0.5
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


class SharedPage:
    """Memory shared with the children: the phase, and each child's heartbeat and request."""

    def __init__(self, children: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, 8 * (2 * children + 1))).cast("d")

    @property
    def phase(self) -> float:
        """A number that the parent sets and the children read; 0 at first."""
        return self._cells[0]

    @phase.setter
    def phase(self, value: float) -> None:
        self._cells[0] = value

    def stamp(self, child: int) -> None:
        """Record that ``child`` is alive."""
        self._cells[2 * child + 1] = time.monotonic()

    def silence(self, child: int) -> float:
        """Return the seconds since the last stamp of ``child``."""
        return time.monotonic() - self._cells[2 * child + 1]

    def request(self, child: int) -> None:
        """Ask for a child that runs on request only."""
        self._cells[2 * child + 2] = 1.0

    def take_request(self, child: int) -> bool:
        """Return whether ``child`` was asked for since the last call."""
        requested, self._cells[2 * child + 2] = self._cells[2 * child + 2] > 0, 0.0
        return requested


def _backoff() -> RestartBackoff:
    return RestartBackoff(first=0.5, longest=LONGEST_WAIT_SECONDS, steady=STEADY_SECONDS, free=2)


@dataclass(slots=True)
class ForkedChild:
    """A child process; ``pid`` is 0 while it doesn't run."""

    number: int
    name: str
    main: Callable[[], None]
    options: str = ""  # further options of its database connections
    on_request: bool = False  # it runs only after ``SharedPage.request``
    pid: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0
    backoff: RestartBackoff = field(default_factory=_backoff)

    def ended(self, now: float) -> None:
        """Plan the next start."""
        self.pid = 0
        self.restart_at = now + self.backoff.wait(now - self.started_at)


class ForkedChildren:
    """The children of this process; ``page`` has a cell for each.

    ``prepare`` runs in a new child before its main function: it sets the signal handlers.
    """

    def __init__(
        self,
        children: list[ForkedChild],
        page: SharedPage,
        prepare: Callable[[ForkedChild], None],
    ) -> None:
        self.stop_requested = False
        self._children, self._page, self._prepare = children, page, prepare
        self._checked_at = time.monotonic()
        self._wakeup, wakeup_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._request_stop)
        signal.signal(signal.SIGINT, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def keep_running(self) -> None:
        """Start children, and those that ended, until a signal asks to stop."""
        while not self.stop_requested:
            for child in self._children:
                if not child.pid and child.restart_at <= time.monotonic() and self._wants(child):
                    self._fork(child)
            self._check()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all children."""
        for child in self._children:
            if child.pid:
                os.kill(child.pid, number)

    def wait(self, seconds: float, after_each: Callable[[], None] = lambda: None) -> list[str]:
        """Wait until all have ended; return the names of those that haven't in time."""
        deadline = time.monotonic() + seconds
        while any(child.pid for child in self._children) and time.monotonic() < deadline:
            after_each()
            self._check(0.1)
        return [child.name for child in self._children if child.pid]

    def kill(self) -> None:
        """Kill all that still run."""
        self.send(signal.SIGKILL)
        # A process that even the kernel can't end must not keep us.
        self.wait(GRACE_SECONDS)

    def _wants(self, child: ForkedChild) -> bool:
        return not child.on_request or self._page.take_request(child.number)

    @staticmethod
    def ignore_signals() -> None:
        """Ignore further requests to stop; they would kill the interpreter while it ends."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_requested = True

    def _check(self, seconds: float = CHECK_SECONDS) -> None:
        """Wait for a signal, then reap ended children and kill silent ones."""
        if select.select([self._wakeup], [], [], seconds)[0]:
            os.read(self._wakeup, 4096)
        now = time.monotonic()
        self._reap(now)
        if now - self._checked_at > SILENT_SECONDS / 2:
            # This process was stopped, and its children with it: count their silence from now.
            for child in self._children:
                self._page.stamp(child.number)
        self._checked_at = now
        for child in self._children:
            if child.pid and self._page.silence(child.number) > SILENT_SECONDS:
                log.warning(
                    "The %s (process %s) gave no heartbeat for %s s and is killed.",
                    child.name,
                    child.pid,
                    SILENT_SECONDS,
                )
                os.kill(child.pid, signal.SIGKILL)
                self._page.stamp(child.number)

    def _reap(self, now: float) -> None:
        for child in self._children:
            # Until a child is waited for, its process id can't be reused.
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                if child.on_request:
                    self._page.take_request(child.number)  # an old one: it is asked for again
                    log.info("The %s (process %s) ended.", child.name, child.pid)
                elif not self.stop_requested:
                    log.info("The %s (process %s) ended and is replaced.", child.name, child.pid)
                child.ended(now)

    def _fork(self, child: ForkedChild) -> None:
        self._page.stamp(child.number)
        child.started_at = time.monotonic()
        parent = os.getpid()
        # Block signals until the child has its own handlers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if not pid:
                self._become(child, parent, mask)
            child.pid = pid
        except OSError as error:
            log.warning("Can't start a process for the %s: %s", child.name, error.strerror)
            child.ended(child.started_at)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _become(
        self, child: ForkedChild, parent: int, mask: set[signal.Signals] | set[int]
    ) -> NoReturn:
        code = 1
        try:
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._prepare(child)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            child.main()
            code = 0
        except BaseException:
            log.exception("The %s failed.", child.name)
        finally:
            report.stop()
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                # Exit at once: a thread that still waits for a receiver must not hold the
                # process, and the child must never return into the parent's code.
                os._exit(code)
