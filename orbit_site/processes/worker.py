"""A worker: Django-Q2's ``worker()``, fed from the database.

Django-Q2's queues between processes don't survive a kill, so objects that claim and acknowledge
rows replace them.
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
from orbit import interrupts, queue, tasks
from orbit.cycles.runner import WorkerProcess
from orbit_site.processes.gate_monitor import GateMonitor
from orbit_site.processes.listener import Listener

log = logging.getLogger(__name__)

#: A worker whose NOTIFY was lost finds a task after so long.
POLL = 1.0
LONGEST_BACK_OFF = 2.0
PUT_TRIES = 5
# Django-Q2's time-out would raise in the middle of a statement. Tasks bound themselves, and the
# supervisor kills a worker whose main thread hangs.
NO_TIMEOUT = -1


def run() -> None:
    """Run tasks until this process drains or is recycled."""
    process = WorkerProcess()
    tasks.worker = process
    process.warm_up()
    claims = Claims(process)
    GateMonitor().start()
    try:
        worker(claims, Results(), _Timer(), NO_TIMEOUT)
    finally:
        claims.close()


class Claims:
    """Replaces Django-Q2's task queue."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        self._broker = queue.PgBroker()
        self._listener = Listener(queue.CHANNEL, heeds_signals=True)
        self._log = ThrottledLog(log.warning)
        self._back_off = 0.1
        #: Whether to look soon, after a start too; else how long to wait.
        self._linger, self._pause = True, POLL
        # Whether to claim without a look: after a start, a task and a notification.
        self._is_sure = True

    def get(self) -> dict[str, Any] | str:
        """Return the next task, or STOP if this process drains or a slot hangs."""
        while not (interrupts.process.draining or self._process.hung):
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
        """Close the listener's connection."""
        self._listener.close()

    def _next(self) -> dict[str, Any] | None:
        if self._is_sure:
            self._listener.open()
            self._is_sure = False
            if claimed := self._broker.dequeue():
                self._linger = self._is_sure = True
                return queue.read(*claimed[0])
        # After a task, look once more soon: orbit.queue holds back a NOTIFY right after another.
        seconds = queue.LINGER if self._linger else min(self._pause, POLL)
        self._linger = self._listener.wait(seconds, proved=False)
        self._is_sure = self._linger or self._is_any_ready()
        return None

    def _is_any_ready(self) -> bool:
        # A look costs a fraction of a claim, and proves the server too.
        _, seconds = self._listener.ask(queue.LOOK.text, queue.LOOKED_FOR)
        is_ready = seconds is not None and seconds <= 0
        # A retry has no NOTIFY: wait for its moment. One that is ready may be another worker's.
        self._pause = POLL if seconds is None or is_ready else seconds
        return is_ready

    def _lost(self, error: Exception) -> None:
        self._log.report("No task can be claimed", error)
        self._is_sure = True
        self._listener.close()
        connection.close()
        # The slots' connections may be to that server too.
        interrupts.process.reconnects += 1
        until = time.monotonic() + self._back_off
        self._back_off = min(self._back_off * 2, LONGEST_BACK_OFF)
        while time.monotonic() < until and not interrupts.process.draining:
            interrupts.process.stamp()
            time.sleep(0.1)


class Results:
    """Replaces Django-Q2's result queue."""

    def __init__(self) -> None:
        self._broker = queue.PgBroker()

    def put(self, task: dict[str, Any]) -> None:
        """Acknowledge ``task``; if that fails, it runs again later."""
        if not task["success"]:
            log.error("The task %s failed: %s", task["func"], task["result"])
        for attempt in range(1, PUT_TRIES + 1):
            interrupts.process.stamp()
            try:
                # First the row: save_task would log a traceback if the database is down.
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
    """Replaces a value that Django-Q2 shares with its guard."""

    # A killed process could leave the lock of a shared value held.
    value = -1.0

    def get_lock(self) -> AbstractContextManager[None]:
        return nullcontext()
