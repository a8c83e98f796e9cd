"""Threads that work in rounds beside the other tasks of a process, each with its own connection.

What they do may take long or hang, and nothing else of the process may wait for it.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from governance.kernel.throttled_log import ThrottledLog
from orbit import interrupts
from orbit_site.web.database import cut_off

log = logging.getLogger(__name__)

#: What maintenance wakes when there is work looks by itself only so often.
IDLE_SECONDS = 5.0
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 1.0, 10.0
#: A lock that is held for longer blocks this round; what it was to do stays for the next one.
LIMITS = "SET statement_timeout = '60s'; SET lock_timeout = '2s'"


class Rest:
    """The pauses of a thread that works in rounds: they end early when it is woken or ended."""

    def __init__(self) -> None:
        self._ending, self._woken = threading.Event(), threading.Event()

    def wake(self) -> None:
        """End the present pause, or the next one."""
        self._woken.set()

    def end(self) -> None:
        """Let the thread end after its present round."""
        self._ending.set()
        self._woken.set()

    def is_ending(self) -> bool:
        """Return whether the thread is to end."""
        return self._ending.is_set() or interrupts.process.draining

    def is_over(self) -> bool:
        """Forget wake-ups before a round; return whether the thread is to end instead."""
        # In this order: ``end`` sets both events, and must not be forgotten.
        self._woken.clear()
        return self.is_ending()

    def wait(self, seconds: float, *, wakes: bool) -> None:
        """Pause for ``seconds``. Without ``wakes`` only ``end`` ends it early."""
        (self._woken if wakes else self._ending).wait(seconds)


class Background:
    """A thread. ``watch`` starts it, and frees it if it hangs."""

    def __init__(
        self,
        name: str,
        failure: str,
        work: Callable[["Background"], float],
        *,
        longest_round: float,
    ) -> None:
        """``work`` does a bounded part and returns the seconds until the next one.

        A round that takes ``longest_round`` seconds is given up.
        """
        self._rest = Rest()
        self._name, self._failure, self._work, self._longest = name, failure, work, longest_round
        self._log = ThrottledLog(log.warning)
        self._thread: threading.Thread | None = None
        self._connection: BaseDatabaseWrapper | None = None
        self._began = float("inf")
        self._backoff = 0.0

    def watch(self) -> None:
        """Start the thread if there is none; cut off its connection if a round takes too long."""
        if self._thread is None or not self._thread.is_alive():
            self._began = float("inf")
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        elif time.monotonic() - self._began > self._longest and self._connection is not None:
            self._log.report(f"The thread {self._name} hangs", "its connection is cut off")
            cut_off(self._connection)

    def wake(self) -> None:
        """Have the next round at once, unless the last one failed."""
        self._rest.wake()

    def end(self, seconds: float) -> None:
        """End the thread after its present round, or leave it after ``seconds``."""
        self._rest.end()
        if self._thread is not None:
            self._thread.join(seconds)

    def is_ending(self) -> bool:
        """Return whether the thread is to end."""
        return self._rest.is_ending()

    def _run(self) -> None:
        self._connection = connections[DEFAULT_DB_ALIAS]
        while not self._rest.is_over():
            self._began = time.monotonic()
            pause = self._round()
            self._began = float("inf")
            self._rest.wait(pause, wakes=not self._backoff)
        connections.close_all()

    def _round(self) -> float:
        """Do a round; return the seconds until the next one. Raises nothing."""
        try:
            self._limit()
            pause = self._work(self)
        except Exception as error:
            # Whatever it is, the next round may work.
            self._log.report(self._failure, error)
            with suppress(DatabaseError, InterfaceError):
                connections[DEFAULT_DB_ALIAS].close()
            self._backoff = min(
                max(2 * self._backoff, FIRST_BACKOFF_SECONDS), LONGEST_BACKOFF_SECONDS
            )
            return self._backoff
        self._backoff = 0.0
        return pause

    def _limit(self) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.connection is None:
            with connection.cursor() as cursor:
                cursor.execute(LIMITS)
