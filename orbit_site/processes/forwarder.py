"""Forwards the outbox to telemetry's database, on a thread of the maintenance process.

With one database too: the conductor's events go by the outbox. A second one may be down, silent,
full, read-only or slow. So nothing else runs on this thread, and the process only looks whether it
still moves.
"""

import logging
import threading
import time
from contextlib import suppress

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from governance.kernel import availability
from governance.kernel.throttled_log import ThrottledLog
from orbit_site.processes.background import Rest
from orbit_site.web.database import cut_off
from telemetry import database, forward, partitions

log = logging.getLogger(__name__)

SECOND, HOUR = 1.0, 3600.0
#: Its connections are proved, and partitions made ahead, this often.
UPKEEP_SECONDS = 5.0
LONGEST_BACKOFF_SECONDS = 10.0
SMALLEST_BATCH = 10
#: A round that takes longer is given up: its connections are cut off.
ROUND_SECONDS = 40.0
#: The thread's sessions wait for so long for a statement, and for a lock; then others have a turn.
LIMITS = "SET statement_timeout = '20s'; SET lock_timeout = '5s'"


class Forwarder:
    """The thread. ``watch`` starts it, and frees it if it hangs."""

    def __init__(self) -> None:
        self._log = ThrottledLog(log.warning)
        self._thread: threading.Thread | None = None
        self._connections: list[BaseDatabaseWrapper] = []
        self._rest = Rest()
        self._began = float("inf")
        self._upkeep_at = self._prune_at = 0.0
        self._backoff, self._batch = 0.0, forward.BATCH

    def watch(self) -> None:
        """Start the thread if there is none; cut off its connections if a round takes too long."""
        if self._thread is None or not self._thread.is_alive():
            self._began = float("inf")
            self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)
            self._thread.start()
        elif time.monotonic() - self._began > ROUND_SECONDS:
            self._log.report("Forwarding events hangs", "its connections are cut off")
            for connection in self._connections:
                cut_off(connection)

    def wake(self) -> None:
        """Forward at once, unless the last round failed."""
        self._rest.wake()

    def end(self, seconds: float) -> None:
        """End the thread after its present round, or leave it after ``seconds``."""
        self._rest.end()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        aliases = dict.fromkeys((DEFAULT_DB_ALIAS, database.ALIAS))
        self._connections = [connections[alias] for alias in aliases]
        while not self._rest.is_over():
            self._began = time.monotonic()
            pause = self._round(self._began)
            self._began = float("inf")
            self._rest.wait(pause, wakes=not self._backoff)
        connections.close_all()

    def _round(self, now: float) -> float:
        """Forward a batch; return the seconds until the next one. Raises nothing."""
        try:
            self._limit()
            is_upkeep = now >= self._upkeep_at
            problem = self._keep_up() if is_upkeep else None
            moved = forward.forward(self._batch)
            if is_upkeep:
                forward.note(problem)
                self._upkeep_at = now + UPKEEP_SECONDS
            if now >= self._prune_at:
                forward.prune()
                self._prune_at = now + HOUR
        except Exception as error:
            # Whatever it is, the next round may work. A slow database may manage less at once.
            self._failed(error)
            self._batch = max(self._batch // 2, SMALLEST_BATCH)
            self._backoff = min(max(2 * self._backoff, SECOND), LONGEST_BACKOFF_SECONDS)
            return self._backoff
        self._batch = min(self._batch * 2, forward.BATCH)
        self._backoff = 0.0
        return 0.0 if moved else UPKEEP_SECONDS

    def _limit(self) -> None:
        for connection in self._connections:
            if connection.connection is None:
                try:
                    with connection.cursor() as cursor:
                        cursor.execute(LIMITS)
                except (OperationalError, InterfaceError) as error:
                    if connection.alias == DEFAULT_DB_ALIAS:
                        raise
                    raise forward.NotTaken(" ".join(str(error).split())) from error

    def _keep_up(self) -> str | None:
        """Make partitions ahead; return what is wrong with them. Raises NotTaken."""
        if not database.IS_SEPARATE:
            return None  # a periodic task makes them
        try:
            with database.connection().cursor() as cursor:
                cursor.execute(availability.IS_READ_ONLY)
                if cursor.fetchone() == (True,):
                    raise forward.NotTaken("it is read-only")
            partitions.ensure_ahead(self._log.report)
        except (OperationalError, InterfaceError) as error:
            raise forward.NotTaken(" ".join(str(error).split())) from error
        except DatabaseError as error:
            # Events may find a place all the same.
            return " ".join(str(error).split())
        return None

    def _failed(self, error: Exception) -> None:
        for connection in self._connections:
            with suppress(DatabaseError, InterfaceError):
                connection.close()
        if not isinstance(error, forward.NotTaken):
            self._log.report("Can't forward events", error)
            return
        self._log.report("Telemetry's database takes no events; they wait in the outbox", error)
        with suppress(DatabaseError, InterfaceError):
            self._limit_main()
            forward.note(str(error))

    def _limit_main(self) -> None:
        with self._connections[0].cursor() as cursor:
            cursor.execute(LIMITS)
