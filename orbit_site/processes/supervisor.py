"""The supervisor of a cluster: workers and one keeper, forked, watched, replaced, drained.

Safety. It has one thread and no connection, so it can fork at any time and no server that hangs can hold it. Nothing is shared with the
children but one page of moments, written without a lock, so no child that dies takes anything along. Each child's main thread stamps
that page every second or two; a child that was silent for ten seconds (stopped, or stuck in a call) is killed and replaced: its cycles
go on elsewhere once their leases have run out. The children die with the supervisor, by the kernel's hand.

SIGTERM and SIGINT, to this process or to its whole group, drain: no child starts anything new, what runs may go on for
ORBIT_DRAIN_SECONDS, and what is still there a few seconds later is killed.
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
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import NoReturn

from django.conf import settings
from django.db import connections

from governance.kernel.identifiers import uuid7
from orbit import (
    interrupts,
)
from orbit.dispatch import enqueue
from orbit.profiles import reload
from orbit_site import schedules
from orbit_site.processes import maintenance, pending_migrations, worker
from orbit_site.processes.parent_death import die_with_parent

log = logging.getLogger(__name__)

SILENT_SECONDS = 10.0
# Long enough to give leases back once the time for draining is over.
GRACE_SECONDS = 5.0
STEADY_SECONDS = 5.0
LONGEST_WAIT = 10.0
LOOK_SECONDS = 0.5
# Statements of the pipeline are planned once and kept. Planned on tables that are still empty they would scan them, and go on so when
# they have grown; each of them finds its few rows by a key.
BY_INDEX = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
RUNNING, STOPPING, ALONE = 0.0, 1.0, 2.0


def run() -> None:
    """Be a cluster until SIGTERM or SIGINT, and return once it is drained.

    Raises Unmigrated, or what reading the configuration refuses, before anything is started.
    """
    pending_migrations.refuse()
    reload.load_at_start()
    enqueue.save_configured()
    schedules.table()
    # A connection that two processes share mixes up their answers: each child opens its own.
    connections.close_all()
    gc.collect()
    gc.freeze()
    Cluster().run()


class Life:
    """A page that parent and children share: what the cluster is doing, and when each child was last seen, by the monotonic clock."""

    def __init__(self, children: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, 8 * (children + 1))).cast("d")

    @property
    def phase(self) -> float:
        """RUNNING, STOPPING, or ALONE when the workers are gone."""
        return self._cells[0]

    @phase.setter
    def phase(self, value: float) -> None:
        self._cells[0] = value

    def stamp(self, child: int) -> None:
        """Note that ``child`` lives."""
        self._cells[child + 1] = time.monotonic()

    def silence(self, child: int) -> float:
        """Return for how many seconds nothing was heard of ``child``."""
        return time.monotonic() - self._cells[child + 1]


@dataclass(slots=True)
class Child:
    """A place that is to be filled by a process."""

    number: int
    name: str
    main: Callable[[], None]
    options: str = ""
    pid: int = 0
    born: float = 0.0
    short_lives: int = 0
    due: float = 0.0

    def died(self, now: float) -> None:
        """Have the place filled again: at once, but later and later where one process after the other dies young (0.5, 1, 2 .. 10 s)."""
        self.pid = 0
        self.short_lives = 0 if now - self.born >= STEADY_SECONDS else self.short_lives + 1
        self.due = now + (
            0.0 if self.short_lives <= 2 else min(2.0 ** (self.short_lives - 4), LONGEST_WAIT)
        )


class Cluster:
    """The supervisor."""

    def __init__(self) -> None:
        self.node = uuid7()
        self._life = Life(settings.ORBIT_WORKERS + 1)
        watch = partial(
            maintenance.run,
            node=self.node,
            supervisor=os.getpid(),
            stopping=lambda: self._life.phase >= STOPPING,
            alone=lambda: self._life.phase == ALONE,
        )
        workers = [
            Child(number, f"worker {number}", worker.run)
            for number in range(1, settings.ORBIT_WORKERS + 1)
        ]
        self._workers, self._children = (
            workers,
            [Child(0, "keeper", watch, maintenance.WAITS_BRIEFLY), *workers],
        )
        self._asked = False
        self._looked = time.monotonic()
        self._wakes, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def run(self) -> None:
        """Keep every place filled until asked to stop, then drain."""
        log.info(
            "The cluster %s starts: %s workers of %s lanes.",
            self.node,
            settings.ORBIT_WORKERS,
            settings.ORBIT_CONCURRENCY,
        )
        while not self._asked:
            for child in self._children:
                if not child.pid and child.due <= time.monotonic():
                    self._fork(child)
            self._look()
        self._drain()
        log.info("The cluster %s is drained.", self.node)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def _drain(self) -> None:
        self._life.phase = STOPPING
        self._send(signal.SIGTERM)
        until = time.monotonic() + settings.ORBIT_DRAIN_SECONDS + GRACE_SECONDS
        while any(child.pid for child in self._children) and time.monotonic() < until:
            if not any(child.pid for child in self._workers):
                self._life.phase = ALONE
            self._look(0.1)
        if left := [child.name for child in self._children if child.pid]:
            log.warning(
                "Killed, since the time for draining is over: %s. Other clusters take over their cycles.",
                ", ".join(left),
            )
            self._send(signal.SIGKILL)
            # A process that the kernel itself can't end must not hold us.
            until = time.monotonic() + GRACE_SECONDS
            while any(child.pid for child in self._children) and time.monotonic() < until:
                self._look(0.1)

    def _send(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, number)

    def _look(self, seconds: float = LOOK_SECONDS) -> None:
        """Wait for a signal, at most ``seconds``, then bury the dead and kill the silent."""
        if select.select([self._wakes], [], [], seconds)[0]:
            os.read(self._wakes, 4096)
        now = time.monotonic()
        for child in self._children:
            # Only children that weren't waited for: their numbers can't belong to anybody else.
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                if not self._asked:
                    log.info(
                        "The %s (process %s) ended; another takes its place.", child.name, child.pid
                    )
                child.died(now)
        if now - self._looked > SILENT_SECONDS / 2:
            # It is us who were stopped: the children, stopped with us, get their time anew.
            for child in self._children:
                self._life.stamp(child.number)
        self._looked = now
        for child in self._children:
            if child.pid and self._life.silence(child.number) > SILENT_SECONDS:
                log.warning(
                    "The %s (process %s) shows no life for %s s and is killed.",
                    child.name,
                    child.pid,
                    SILENT_SECONDS,
                )
                os.kill(child.pid, signal.SIGKILL)
                self._life.stamp(child.number)

    def _fork(self, child: Child) -> None:
        self._life.stamp(child.number)
        child.born = time.monotonic()
        parent = os.getpid()
        # A signal that comes before the child has its own handlers waits until it has.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if not pid:
                self._be(child, parent, before)
            child.pid = pid
        except OSError as error:
            log.warning("No process can be started for the %s: %s", child.name, error.strerror)
            child.died(child.born)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _be(self, child: Child, parent: int, mask: set[signal.Signals] | set[int]) -> NoReturn:
        code = 1
        try:
            die_with_parent(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            drain = _Drain()
            signal.signal(signal.SIGTERM, drain)
            signal.signal(signal.SIGINT, drain)
            interrupts.process.stamp = partial(_stamp, self._life, child.number, parent)
            options = connections.settings["default"]["OPTIONS"]
            options["application_name"] = f"orbit-{child.name.split()[0]} {os.getpid()}"
            options["options"] += BY_INDEX + child.options
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            child.main()
            code = 0
        except BaseException:
            log.exception("The %s broke down.", child.name)
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                # At once, whatever happened: a thread that still waits for a receiver must not hold the process, and no child may go on as us.
                os._exit(code)


class _Drain:
    """The handler of a child. A group's signal comes twice, the second one in the midst of the first: only one may take the lock."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            return
        self._asked = True
        interrupts.process.drain(settings.ORBIT_DRAIN_SECONDS)


def _stamp(life: Life, number: int, parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)  # where the kernel doesn't see to it
    life.stamp(number)
