"""Fans out and aggregates, on a thread of the maintenance process.

A fan-out of a million children takes a while, and nothing else of that process may wait for it.
"""

import logging
import threading
import time
from contextlib import suppress

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from governance.kernel.throttled_log import ThrottledLog
from orbit import interrupts
from orbit.conductor import aggregate, fanout, upkeep
from orbit_site.web.database import cut_off

log = logging.getLogger(__name__)

#: So often an idle thread looks for work.
IDLE_SECONDS = 0.5
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 1.0, 10.0
#: A round has a bounded number of statements. One that takes longer is given up.
ROUND_SECONDS = 120.0
#: A lock that is held for longer blocks this round; what it was to do stays for the next one.
LIMITS = "SET statement_timeout = '60s'; SET lock_timeout = '2s'"
#: Passes of a round: after so many a fan-out has its turn.
PASSES = 10


class Conductor:
    """The thread. ``watch`` starts it, and frees it if it hangs."""

    def __init__(self) -> None:
        self._log = ThrottledLog(log.warning)
        self._thread: threading.Thread | None = None
        self._connection: BaseDatabaseWrapper | None = None
        self._ending = threading.Event()
        self._began = float("inf")
        self._backoff = 0.0

    def watch(self) -> None:
        """Start the thread if there is none; cut off its connection if a round takes too long."""
        if self._thread is None or not self._thread.is_alive():
            self._began = float("inf")
            self._thread = threading.Thread(target=self._run, name="conductor", daemon=True)
            self._thread.start()
        elif time.monotonic() - self._began > ROUND_SECONDS and self._connection is not None:
            self._log.report("The conductor's upkeep hangs", "its connection is cut off")
            cut_off(self._connection)

    def end(self, seconds: float) -> None:
        """End the thread after its present round, or leave it after ``seconds``."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        self._connection = connections[DEFAULT_DB_ALIAS]
        while not (self._ending.is_set() or interrupts.process.draining):
            self._began = time.monotonic()
            pause = self._round()
            self._began = float("inf")
            self._ending.wait(pause)
        connections.close_all()

    def _round(self) -> float:
        """Do a bounded part of the work; return the seconds until the next part. Raises nothing."""
        try:
            self._limit()
            waits = upkeep.look()
            fanned_out = waits.fanout and fanout.run_fanout_once().did_something
            # A fan-out leaves tallies, whether any waited before or not.
            goes_on = (waits.aggregate or fanned_out) and aggregate.run_aggregate_once(
                passes=PASSES
            ).goes_on
        except Exception as error:
            # Whatever it is, the next round may work.
            self._log.report("Can't fan out and aggregate conductor tasks", error)
            with suppress(DatabaseError, InterfaceError):
                connections[DEFAULT_DB_ALIAS].close()
            self._backoff = min(
                max(2 * self._backoff, FIRST_BACKOFF_SECONDS), LONGEST_BACKOFF_SECONDS
            )
            return self._backoff
        self._backoff = 0.0
        return 0.0 if fanned_out or goes_on else IDLE_SECONDS

    def _limit(self) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.connection is None:
            with connection.cursor() as cursor:
                cursor.execute(LIMITS)
