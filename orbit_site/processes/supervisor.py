"""The supervisor of a cluster: keeps its workers and its maintenance process, and drains them."""

import gc
import logging
import os
import signal
from functools import partial
from types import FrameType

from django.conf import settings
from django.db import connections

from governance.kernel.identifiers import uuid7
from orbit import interrupts
from orbit.dispatch import enqueue
from orbit.profiles import reload
from orbit_site import schedules
from orbit_site.processes import lone_worker, maintenance, pending_migrations, worker
from orbit_site.processes.forks import GRACE_SECONDS, ForkedChild, ForkedChildren, SharedPage
from orbit_site.settings import names

log = logging.getLogger(__name__)

# The pipeline's statements are planned once and kept. A plan made on empty tables would scan them
# and keep doing so when they have grown; each statement finds its few rows by a key. A bitmap
# has no order: with it, the oldest few would be found by sorting all.
BY_INDEX = (
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off"
    " -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
)
RUNNING, STOPPING, WORKERS_GONE = 0.0, 1.0, 2.0


def run() -> None:
    """Run a cluster until SIGTERM or SIGINT, then drain it.

    Raises Unmigrated or a configuration error before anything starts.
    """
    names.log_once(log)
    pending_migrations.refuse()
    reload.load_at_start()
    enqueue.save_configured()
    schedules.table()
    # A connection that two processes share mixes up their answers: each child opens its own.
    connections.close_all()
    gc.collect()
    gc.freeze()  # keeps memory shared with the children
    Supervisor().run()


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
            request_lone_worker=partial(self._page.request, settings.ORBIT_WORKERS + 1),
        )
        self._workers = [
            ForkedChild(number, f"worker {number}", worker.run)
            for number in range(1, settings.ORBIT_WORKERS + 1)
        ]
        # It runs only while a suspected cycle is due, so an idle cluster doesn't pay for it.
        self._lone_worker = ForkedChild(
            settings.ORBIT_WORKERS + 1, "lone worker", lone_worker.run, on_request=True
        )
        children = [
            ForkedChild(0, "maintenance", maintain, maintenance.LOCK_TIMEOUT),
            *self._workers,
            self._lone_worker,
        ]
        self._children = ForkedChildren(children, self._page, partial(self._prepare, os.getpid()))

    def run(self) -> None:
        """Keep all children running until a signal, then drain."""
        log.info(
            "The cluster %s starts: %s workers with %s slots each.",
            self.node,
            settings.ORBIT_WORKERS,
            settings.ORBIT_CONCURRENCY,
        )
        self._children.keep_running()
        self._drain()
        self._children.ignore_signals()
        log.info("The cluster %s is drained.", self.node)

    def _drain(self) -> None:
        # No child starts anything new; running cycles get ORBIT_DRAIN_SECONDS.
        self._page.phase = STOPPING
        self._children.send(signal.SIGTERM)
        left = self._children.wait(
            settings.ORBIT_DRAIN_SECONDS + GRACE_SECONDS, after_each=self._look_at_workers
        )
        if left:
            log.warning(
                "Killed after ORBIT_DRAIN_SECONDS: %s. Other clusters rescue their cycles.",
                ", ".join(left),
            )
            self._children.kill()

    def _look_at_workers(self) -> None:
        if not any(child.pid for child in (*self._workers, self._lone_worker)):
            self._page.phase = WORKERS_GONE

    def _prepare(self, parent: int, child: ForkedChild) -> None:
        drain = _DrainHandler()
        # A signal alone doesn't end a wait for a NOTIFY: the listener also waits for this pipe.
        interrupts.process.signals, end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, drain)
        signal.signal(signal.SIGINT, drain)
        interrupts.process.stamp = partial(_stamp, self._page, child.number, parent)
        options = connections.settings["default"]["OPTIONS"]
        options["application_name"] = f"orbit-{child.name.split()[0]} {os.getpid()}"
        options["options"] += BY_INDEX + child.options


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
