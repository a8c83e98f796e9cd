"""The supervisor of a cluster: forks, replaces and drains its processes.

It has one thread and no database connection, so it can fork at any time and a hanging server can't
block it. Its children stamp a shared page without a lock, so a dead child can't leave a lock
behind.
"""

import gc
import logging
import mmap
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import NoReturn

from django.conf import settings
from django.db import connections

from governance.kernel.identifiers import uuid7
from orbit import interrupts
from orbit.dispatch import enqueue
from orbit.profiles import reload
from orbit_site import schedules
from orbit_site.processes import lone_worker, maintenance, pending_migrations, worker
from orbit_site.processes.parent_death import die_with_parent
from orbit_site.processes.restart_backoff import RestartBackoff

log = logging.getLogger(__name__)

#: A child that is silent for this long is stuck: it is killed, and its cycles are rescued when
#: their leases expire.
SILENT_SECONDS = 10.0
# Time to give leases back after the time for draining.
GRACE_SECONDS = 5.0
STEADY_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 10.0
CHECK_SECONDS = 0.5
# The pipeline's statements are planned once and kept. A plan made on empty tables would scan them
# and keep doing so when they have grown; each statement finds its few rows by a key. A bitmap
# has no order: with it, the oldest few would be found by sorting all.
BY_INDEX = (
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off"
    " -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
)
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
RUNNING, STOPPING, WORKERS_GONE = 0.0, 1.0, 2.0


def run() -> None:
    """Run a cluster until SIGTERM or SIGINT, then drain it.

    Raises Unmigrated or a configuration error before anything starts.
    """
    pending_migrations.refuse()
    reload.load_at_start()
    enqueue.save_configured()
    schedules.table()
    # A connection that two processes share mixes up their answers: each child opens its own.
    connections.close_all()
    gc.collect()
    gc.freeze()  # keeps memory shared with the children
    Supervisor().run()


class SharedPage:
    """Memory shared with the children: the phase, a request, and each child's heartbeat."""

    def __init__(self, children: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, 8 * (children + 2))).cast("d")

    @property
    def phase(self) -> float:
        """RUNNING, STOPPING or WORKERS_GONE."""
        return self._cells[0]

    @phase.setter
    def phase(self, value: float) -> None:
        self._cells[0] = value

    def request_lone_worker(self) -> None:
        """Ask for the lone worker; it is forked if it doesn't run."""
        self._cells[1] = 1.0

    def take_request(self) -> bool:
        """Return whether the lone worker was asked for since the last call."""
        requested, self._cells[1] = self._cells[1] > 0, 0.0
        return requested

    def stamp(self, child: int) -> None:
        """Record that ``child`` is alive."""
        self._cells[child + 2] = time.monotonic()

    def silence(self, child: int) -> float:
        """Return the seconds since the last stamp of ``child``."""
        return time.monotonic() - self._cells[child + 2]


def _backoff() -> RestartBackoff:
    return RestartBackoff(first=0.5, longest=LONGEST_WAIT_SECONDS, steady=STEADY_SECONDS, free=2)


@dataclass(slots=True)
class ForkedChild:
    """A child process; ``pid`` is 0 while it doesn't run."""

    number: int
    name: str
    main: Callable[[], None]
    options: str = ""  # further options of its database connections
    pid: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0
    backoff: RestartBackoff = field(default_factory=_backoff)

    def ended(self, now: float) -> None:
        """Plan the next start."""
        self.pid = 0
        self.restart_at = now + self.backoff.wait(now - self.started_at)


class Supervisor:
    """The parent process of a cluster."""

    def __init__(self) -> None:
        self.node = uuid7()
        self._page = SharedPage(settings.ORBIT_WORKERS + 2)
        maintain = partial(
            maintenance.run,
            node=self.node,
            supervisor=os.getpid(),
            stopping=lambda: self._page.phase >= STOPPING,
            workers_gone=lambda: self._page.phase == WORKERS_GONE,
            request_lone_worker=self._page.request_lone_worker,
        )
        self._workers = [
            ForkedChild(number, f"worker {number}", worker.run)
            for number in range(1, settings.ORBIT_WORKERS + 1)
        ]
        # It runs only while a suspected cycle is due, so an idle cluster doesn't pay for it.
        self._lone_worker = ForkedChild(settings.ORBIT_WORKERS + 1, "lone worker", lone_worker.run)
        self._children = [
            ForkedChild(0, "maintenance", maintain, maintenance.LOCK_TIMEOUT),
            *self._workers,
            self._lone_worker,
        ]
        self._stop_requested = False
        self._checked_at = time.monotonic()
        self._wakeup, wakeup_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._request_stop)
        signal.signal(signal.SIGINT, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def run(self) -> None:
        """Keep all children running until a signal, then drain."""
        log.info(
            "The cluster %s starts: %s workers with %s slots each.",
            self.node,
            settings.ORBIT_WORKERS,
            settings.ORBIT_CONCURRENCY,
        )
        while not self._stop_requested:
            for child in self._children:
                if not child.pid and child.restart_at <= time.monotonic() and self._wants(child):
                    self._fork(child)
            self._check()
        self._drain()
        log.info("The cluster %s is drained.", self.node)

    def _wants(self, child: ForkedChild) -> bool:
        return child is not self._lone_worker or self._page.take_request()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requested = True

    def _drain(self) -> None:
        # No child starts anything new; running cycles get ORBIT_DRAIN_SECONDS.
        self._page.phase = STOPPING
        self._send(signal.SIGTERM)
        self._wait_for_children(settings.ORBIT_DRAIN_SECONDS + GRACE_SECONDS)
        if left := [child.name for child in self._children if child.pid]:
            log.warning(
                "Killed after ORBIT_DRAIN_SECONDS: %s. Other clusters rescue their cycles.",
                ", ".join(left),
            )
            self._send(signal.SIGKILL)
            # A process that even the kernel can't end must not keep us.
            self._wait_for_children(GRACE_SECONDS)

    def _wait_for_children(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(child.pid for child in self._children) and time.monotonic() < deadline:
            if not any(child.pid for child in (*self._workers, self._lone_worker)):
                self._page.phase = WORKERS_GONE
            self._check(0.1)

    def _send(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, number)

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
                if child is self._lone_worker:
                    self._page.take_request()  # an old one: maintenance asks again
                    log.info("The %s (process %s) ended.", child.name, child.pid)
                elif not self._stop_requested:
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
            drain = _DrainHandler()
            signal.signal(signal.SIGTERM, drain)
            signal.signal(signal.SIGINT, drain)
            interrupts.process.stamp = partial(_stamp, self._page, child.number, parent)
            options = connections.settings["default"]["OPTIONS"]
            options["application_name"] = f"orbit-{child.name.split()[0]} {os.getpid()}"
            options["options"] += BY_INDEX + child.options
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            child.main()
            code = 0
        except BaseException:
            log.exception("The %s failed.", child.name)
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                # Exit at once: a thread that still waits for a receiver must not hold the
                # process, and the child must never return into the supervisor's code.
                os._exit(code)


class _DrainHandler:
    """Drains at the first signal only."""

    def __init__(self) -> None:
        self._called = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        # A second signal may interrupt this handler, which would take a held lock again.
        if self._called:
            return
        self._called = True
        interrupts.process.drain(settings.ORBIT_DRAIN_SECONDS)


def _stamp(page: SharedPage, number: int, parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)  # for systems where the kernel doesn't kill us
    page.stamp(number)
