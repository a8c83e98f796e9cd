"""Stopping Orbit exactly before a commit, from outside: another session holds a lock, and the worker's statement waits for it.

Reads go on. A row that is inserted already, and not committed, stops a statement in the middle of its work; a lock on a whole table stops
it at its beginning, where the server may have only half of it. PostgreSQL says who waits, and the waiting session's name says which worker
that is. A statement whose client was killed still runs to its end on the server; ``roll_back`` ends its session first, so that it never
commits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from tests.chaos.fleet import until

WAITING = """SELECT pid, application_name FROM pg_stat_activity
WHERE %s = ANY(pg_blocking_pids(pid)) AND application_name LIKE 'orbit-worker %%' ORDER BY query_start"""
THERE = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"


@dataclass(frozen=True)
class Waiter:
    """A worker's process and its session, which waits at a gate."""

    worker: int
    session: int


class Gate:
    """A lock that another session holds."""

    def __init__(self, url: str) -> None:
        self._holder = psycopg.connect(url)
        self._watch = psycopg.connect(url, autocommit=True)

    def lock(self, table: str) -> None:
        """Block writes to ``table``."""
        self._holder.execute(
            sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(table))
        )

    def initiate(self, hash_: str) -> None:
        """Block this initiation: it is made already, and not committed."""
        self._holder.execute(
            "INSERT INTO orbit_initiation (id, initiation_hash, namespace) VALUES (gen_random_uuid(), %s, 'gate')",
            [hash_],
        )

    def occupy(self, cycle: UUID, checkpoint: str) -> None:
        """Block this one checkpoint."""
        self._holder.execute(
            "INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token) VALUES (%s, %s, 0)",
            [cycle, checkpoint],
        )

    def seize_receipts(self, cycle: UUID) -> None:
        """Block the closing of attempts of this cycle."""
        self._holder.execute(
            "SELECT 1 FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE j.cycle_id = %s FOR UPDATE OF r",
            [cycle],
        )

    def waiters(self) -> list[Waiter]:
        """Return the workers that wait, the first one first."""
        rows = self._watch.execute(WAITING, [self._holder.info.backend_pid]).fetchall()
        return [Waiter(int(name.split()[1]), session) for session, name in rows]

    def roll_back(self, waiter: Waiter) -> None:
        """End the waiting session: its statement leaves nothing."""
        self._watch.execute("SELECT pg_terminate_backend(%s)", [waiter.session])
        until(
            lambda: self._watch.execute(THERE, [waiter.session]).fetchone() is None,
            5,
            "the session doesn't end",
            every=0.002,
        )

    def open(self) -> None:
        """Let everybody through; the gate may be locked again."""
        self._holder.rollback()

    def close(self) -> None:
        """Let everybody through, for good."""
        self._holder.close()
        self._watch.close()


@contextmanager
def gate(url: str) -> Iterator[Gate]:
    """A gate that is open at first."""
    made = Gate(url)
    try:
        yield made
    finally:
        made.close()
