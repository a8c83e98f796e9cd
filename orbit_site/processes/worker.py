"""A worker: Django-Q2's ``worker()``, fed straight from the database, one claimed row at a time.

In place of the stock queues between processes, which survive no kill, it gets an object that claims a row and one that acknowledges it:
nothing is shared with any other process, so whichever dies, the others go on.
"""

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psycopg
from django.db import Error, connection
from django_q.monitor import save_task
from django_q.worker import worker

from governance.kernel.throttled_log import ThrottledLog
from orbit import interrupts, queue
from orbit.cycles import runner
from orbit_site.processes.gate_monitor import GateMonitor
from orbit_site.processes.listener import Listener

log = logging.getLogger(__name__)

# A handler's flag doesn't cut the wait for a NOTIFY short, so a wait is this long at most; a drain begins no later.
POLL = 0.5
LONGEST_BACK_OFF = 2.0
PUT_TRIES = 5
# Django-Q2's time-out raises out of whatever the main thread is doing, a half-sent statement too. A shift bounds itself, a tick is one
# transaction, and a main thread that hangs no longer stamps the clock: the supervisor sees that and kills.
NO_TIMEOUT = -1


def run() -> None:
    """Run tasks until this process drains, or until it has run so many that it is to be replaced; what it holds is done then."""
    claims = Claims()
    GateMonitor().start()
    try:
        worker(claims, Results(), _Timer(), NO_TIMEOUT)
    finally:
        claims.close()


class Claims:
    """Stands where Django-Q2 has its task queue: ``get`` gives the next task."""

    def __init__(self) -> None:
        self._broker = queue.PgBroker()
        self._listener = Listener(queue.CHANNEL)
        self._log = ThrottledLog(log.warning)
        self._back_off = 0.1
        self._linger = False

    def get(self) -> dict[str, Any] | str:
        """Return the next task, or STOP once this process drains or holds a lane that hangs. No error of the database ends the wait."""
        while not (interrupts.process.draining or runner.hung()):
            interrupts.process.stamp()
            try:
                task = self._next()
                self._back_off = 0.1
            except (Error, psycopg.Error) as error:
                self._lost(error)
                continue
            if task is not None:
                return task
        return "STOP"

    def close(self) -> None:
        """Let go of the connection."""
        self._listener.close()

    def _next(self) -> dict[str, Any] | None:
        self._listener.open()
        if claimed := self._broker.dequeue():
            self._linger = True
            return queue.read(*claimed[0])
        # Who was woken looks once more before it sleeps: a NOTIFY that came too soon after another was held back (orbit.queue).
        self._linger = self._listener.wait(queue.LINGER if self._linger else POLL)
        return None

    def _lost(self, error: Exception) -> None:
        self._log.report("No task can be claimed", error)
        self._listener.close()
        connection.close()
        until = time.monotonic() + self._back_off
        self._back_off = min(self._back_off * 2, LONGEST_BACK_OFF)
        while time.monotonic() < until and not interrupts.process.draining:
            interrupts.process.stamp()
            time.sleep(0.1)


class Results:
    """Stands where Django-Q2 has its result queue and the process behind it: ``put`` keeps a failure and removes the row."""

    def __init__(self) -> None:
        self._broker = queue.PgBroker()

    def put(self, task: dict[str, Any]) -> None:
        """Acknowledge ``task``. Where the database is gone for longer the row stays and is run again later, which harms nothing."""
        if not task["success"]:
            log.error("The task %s failed: %s", task["func"], task["result"])
        for attempt in range(1, PUT_TRIES + 1):
            interrupts.process.stamp()
            try:
                # First the row: where the database is away this says so in a line; saving a failure would in a page, and go on.
                self._broker.acknowledge(task["ack_id"])
                save_task(task, self._broker)
            except Error as error:
                connection.close()
                log.warning(
                    "The task %s can't be acknowledged (try %s of %s): %s",
                    task["func"],
                    attempt,
                    PUT_TRIES,
                    " ".join(str(error).split()),
                )
                time.sleep(0.1 * attempt)
            else:
                return


class _Timer:
    """Stands where Django-Q2 has a value shared with its guard. A lock between processes is what a killed one would never give back."""

    value = -1.0

    def get_lock(self) -> AbstractContextManager[None]:
        return nullcontext()
