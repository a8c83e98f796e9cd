"""Stop a worker exactly before a commit: another session holds a lock that its statement needs.

Reads go on. An uncommitted row with the same key stops a statement in the middle. A table lock
stops it at the beginning, when the server may have received only half of it. PostgreSQL reports
the waiting session, whose name tells the worker. A statement whose client was killed still runs to
its end on the server; ``roll_back`` ends its session first, so that it never commits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from tests.chaos.fleet import LIMIT, until

WAITING = """SELECT pid, application_name FROM pg_stat_activity
WHERE %s = ANY(pg_blocking_pids(pid)) AND application_name LIKE 'orbit-worker %%'
ORDER BY query_start"""
SESSION = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"


@dataclass(frozen=True)
class Waiter:
    """A worker process and its session, which waits at a gate."""

    worker: int
    session: int


class Gate:
    """A lock that another session holds."""

    def __init__(self, url: str) -> None:
        self._holder = psycopg.connect(url)
        self._observer = psycopg.connect(url, autocommit=True)

    def lock(self, table: str) -> None:
        """Block writes to ``table``."""
        self._holder.execute(
            sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(table))
        )

    def initiate(self, hash_: str) -> None:
        """Block this initiation by an uncommitted row."""
        self._holder.execute(
            "INSERT INTO orbit_initiation (id, initiation_hash, namespace)"
            " VALUES (gen_random_uuid(), %s, 'gate')",
            [hash_],
        )

    def occupy(self, cycle: UUID, checkpoint: str) -> None:
        """Block this checkpoint."""
        self._holder.execute(
            "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token) VALUES (%s, %s, 0)",
            [cycle, checkpoint],
        )

    def seize_receipts(self, cycle: UUID) -> None:
        """Block writes to the attempts of this cycle."""
        self._holder.execute(
            "SELECT 1 FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id"
            " WHERE j.cycle_id = %s FOR UPDATE OF r",
            [cycle],
        )

    def waiters(self) -> list[Waiter]:
        """Return the workers that wait, the first one first."""
        rows = self._observer.execute(WAITING, [self._holder.info.backend_pid]).fetchall()
        return [Waiter(int(name.split()[1]), session) for session, name in rows]

    def roll_back(self, waiter: Waiter) -> None:
        """End the waiting session: its statement leaves nothing."""
        self._observer.execute("SELECT pg_terminate_backend(%s)", [waiter.session])
        until(
            lambda: self._observer.execute(SESSION, [waiter.session]).fetchone() is None,
            LIMIT,
            "the session doesn't end",
            every=0.002,
        )

    def open(self) -> None:
        """Release all locks; the gate may be locked again."""
        self._holder.rollback()

    def close(self) -> None:
        """Release all locks and disconnect."""
        self._holder.close()
        self._observer.close()


@contextmanager
def gate(url: str) -> Iterator[Gate]:
    """A gate that is open at first."""
    opened = Gate(url)
    try:
        yield opened
    finally:
        opened.close()
