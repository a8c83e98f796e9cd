"""The fence: a worker that lost its cycle writes no row.

Every write of the pipeline is one statement. Its first CTE locks the cycle if its fencing token
still holds, and all its writes join that CTE.

If the answer of a write is lost, it may have happened, or still happen. Take a new token
(``reclaim``), read what is there, then go on.
"""

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
)

from governance.kernel import pg_text, routing, sql
from governance.kernel.canonical import sha256_hex
from governance.kernel.constraints import collision
from governance.kernel.identifiers import uuid7_text
from orbit.records import checkpoints, execution
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.tracing import report
from telemetry import emit
from telemetry.emit import Event

logger = logging.getLogger(__name__)

#: The outcome is unknown: the server is away, read-only, or ended an idle transaction; or rows
#: collided (``Collided``).
AWAY = (OperationalError, InterfaceError, InternalError)

Rows = list[tuple[Any, ...]]

# After this many resumes without progress, run a cycle in a process of its own: a poison cycle must
# not take others down with its worker. Partial indexes of ``CycleRun`` have the same number.
ALONE_FROM = 2

_PARAMETER = re.compile(r"%\((\w+)\)s")

# A lock, not just a test in WHERE: another worker could claim the cycle before the commit.
LOCKED = sql.fragment(__name__, "locked")
FORGET_RESUMES = sql.load(__name__, "forget_resumes")
#: The fragments of a fenced statement: ``WITH {{locked}}, ..., {{checkpoints}}, {{records}},
#: {{events}}``.
FRAGMENTS: dict[str, sql.Fragment] = {
    "locked": LOCKED,
    "checkpoints": checkpoints.CHECKPOINTS,
    "records": execution.RECORDS,
    "events": emit.EVENTS,
}


RECLAIM = sql.load(__name__, "reclaim", locked=LOCKED)

#: ``writer``: of the threads whose writes are shared.
_thread = threading.local()


class Fenced(Exception):
    """Another worker has the cycle: write nothing more."""


class Collided(OperationalError):
    """A row of ours is there already, or a row that it refers to isn't: read again."""


@dataclass(slots=True)
class ClaimedCycle:
    """A claimed cycle: its lease and what its stages read. Its slot and its runner share it."""

    id: UUID
    #: The fencing token. ``reclaim`` raises it.
    token: int
    namespace: str
    status: str
    profile_id: str | None
    run_profile_id: str | None
    instruction_id: str | None
    context: dict[str, Any]
    initiation_hash: str
    #: None until it is loaded.
    input: bytes | None
    input_content_type: str
    requeues: int
    resumed: bool
    #: The caller's span that triggered it.
    traceparent: str | None = None
    #: What a re-run reuses.
    takeover: dict[str, Any] | None = None
    #: How often it was resumed in a row, without progress.
    resumes: int = 0
    #: The holder of the lease.
    owner: str = ""
    #: The id of the record of its resume: there once, however often it is written.
    resume_record: str = field(default_factory=uuid7_text)
    #: Reclaims whose answer was lost: each may have raised the token.
    reclaims: int = 0
    #: Receipts of a write that begins deliveries whose answer was lost: none of them was sent.
    begun: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class FencedWrite:
    """The values of one fenced statement of one cycle."""

    cycle: ClaimedCycle
    sql: str
    #: JSON parameters by name.
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Other parameters by name.
    values: dict[str, Any] = field(default_factory=dict)
    #: Statements number them from 1.
    blobs: list[bytes] = field(default_factory=list)
    #: The SHA-256 of blobs by number, in hex.
    digests: dict[int, str] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    #: It ends a cycle or a delivery: its records, too, only report.
    ends: bool = False

    def blob(self, data: bytes) -> int:
        """Add ``data`` to ``blobs``, the same object once; return its number."""
        for place, blob in enumerate(self.blobs, start=1):
            if blob is data:
                return place
        self.blobs.append(data)
        return len(self.blobs)

    def sha256(self, blob: int) -> str:
        """Return the SHA-256 of a blob in hex, computed once: tiers and items often share one."""
        if blob not in self.digests:
            self.digests[blob] = sha256_hex(self.blobs[blob - 1])
        return self.digests[blob]

    def parameters(self) -> dict[str, Any]:
        """Return the values by parameter name."""
        return parameters([self])


def write_of_no_cycle(statement: sql.Statement) -> FencedWrite:
    """Return a write with ``statement`` of a cycle that isn't there: it is fenced."""
    none = ClaimedCycle(
        id=UUID(int=0),
        token=0,
        namespace="",
        status="",
        profile_id=None,
        run_profile_id=None,
        instruction_id=None,
        context={},
        initiation_hash="",
        input=None,
        input_content_type="",
        requeues=0,
        resumed=False,
    )
    kinds = statement.params.items()
    return FencedWrite(
        none,
        statement.text,
        rows={name: [] for name, kind in kinds if kind in ("json", "jsonb")},
        # A statement is prepared for the types of its values: these are the usual ones.
        values={name: "" for name, kind in kinds if kind == "text"},
        blobs=[b""],
    )


def parameters(writes: Sequence[FencedWrite]) -> dict[str, Any]:
    """Return the values by parameter name of writes with one statement and equal ``values``."""
    blobs: list[bytes] = []
    rows: dict[str, list[dict[str, Any]]] = {"checkpoints": [], "records": [], "events": []}
    for write in writes:
        cycle, cycle_id = write.cycle, str(write.cycle.id)
        for name, own in write.rows.items():
            rows.setdefault(name, []).extend(_renumbered(own, len(blobs)))
        blobs += write.blobs
        rows["checkpoints"] += [
            {"cycle_id": cycle_id, "stage": stage} for stage in write.checkpoints
        ]
        rows["records"] += execution.rows(
            write.records, cycle_id=cycle_id, namespace=cycle.namespace
        )
        rows["events"] += [
            emit.row(event, run_id=cycle_id, namespace=cycle.namespace, profile_id=cycle.profile_id)
            for event in write.events
        ]
    return {
        "ids": [write.cycle.id for write in writes],
        "tokens": [write.cycle.token for write in writes],
        "blobs": blobs,
        **{name: pg_text.dumps(own) for name, own in rows.items()},
        **writes[0].values,
    }


def _renumbered(rows: list[dict[str, Any]], blobs: int) -> list[dict[str, Any]]:
    """Return ``rows`` with the numbers of blobs that come after ``blobs`` others."""
    if not blobs:
        return rows
    return [{**row, "blob": row["blob"] + blobs} if row.get("blob") else row for row in rows]


def run(text: str, parameters: dict[str, Any]) -> Rows:
    """Run a prepared statement on this thread's connection; return the rows. Raises Collided."""
    with collisions():
        return sql.send(text, parameters)


@contextmanager
def collisions() -> Iterator[None]:
    """Raise Collided for rows that collide. Put it around a transaction: its COMMIT checks too."""
    try:
        yield
    except IntegrityError as exc:
        if name := collision(exc):
            raise Collided(f"{name} is violated") from exc.__cause__
        raise


class SharedWriter(Protocol):
    """What commits the writes of several slots together."""

    def commit(self, write: FencedWrite) -> Rows | None:
        """Commit ``write``; return its rows, or None if it has to run alone."""

    def busy(self) -> AbstractContextManager[None]:
        """Wait for this thread's writes."""

    def away(self) -> AbstractContextManager[None]:
        """Don't wait for this thread's next write."""


@contextmanager
def sharing(writer: SharedWriter, cycle: ClaimedCycle) -> Iterator[None]:
    """Have this thread's writes for ``cycle`` go through ``writer``, with those of other slots."""
    if cycle.resumed:
        # Its worker may have died of it: no other write waits for it, and its own waits for none.
        yield
        return
    _thread.writer = writer
    try:
        with writer.busy():
            yield
    finally:
        _thread.writer = None


def commit(write: FencedWrite) -> Rows:
    """Commit ``write``; return its rows. Raises Fenced if the token is stale."""
    rows = _commit_shared(write)
    if rows is None:
        rows = execute(write)
    if not rows:
        raise Fenced
    # A statement of its own, because the first one may update this row. If it is lost, the next
    # resume sees the progress.
    if write.cycle.resumes >= ALONE_FROM and (write.checkpoints or write.rows.get("attempts")):
        run(FORGET_RESUMES.text, {"id": write.cycle.id, "token": write.cycle.token})
        write.cycle.resumes = 0
    report.written(
        write.events,
        cycle_id=write.cycle.id,
        traceparent=write.cycle.traceparent,
        namespace=write.cycle.namespace,
        profile_id=write.cycle.profile_id,
    )
    return rows


def away() -> AbstractContextManager[None]:
    """Say that this thread waits for something outside before its next write."""
    writer: SharedWriter | None = getattr(_thread, "writer", None)
    return nullcontext() if writer is None else writer.away()


def _commit_shared(write: FencedWrite) -> Rows | None:
    """Commit ``write`` with those of other slots; return None if it has to run alone."""
    writer: SharedWriter | None = getattr(_thread, "writer", None)
    # A transaction is a connection's own.
    if writer is None or connection.in_atomic_block:
        return None
    return writer.commit(write)


def execute(write: FencedWrite) -> Rows:
    """Run ``write``; return its rows. What only reports and can't be written is left out."""
    parameters = write.parameters()
    reports = [("events",), ("events", "records", "checkpoints")] if write.ends else [("events",)]
    for parts in reports:
        try:
            return _run_whole(write.sql, parameters)
        except AWAY:
            raise
        except DatabaseError as error:
            # The server refused the statement as a whole. If something else is wrong with it, the
            # last try says so.
            logger.error(
                "cycle %s: tried again without its %s: %s",
                write.cycle.id,
                ", ".join(parts),
                " ".join(str(error).split()),
            )
            parameters |= dict.fromkeys(parts, "[]")
    return _run_whole(write.sql, parameters)


def _run_whole(text: str, parameters: dict[str, Any]) -> Rows:
    return routing.run(lambda: run(text, parameters))


def reclaim(cycle: ClaimedCycle) -> bool:
    """Take a new token after a write whose outcome is unknown; return False if we lost the cycle.

    Then a write that still runs has committed or never will: read again what is there.
    """
    cycle.reclaims += 1
    # An earlier reclaim may have happened, or be under way: its token is one of these, and lower
    # than the new one.
    token = cycle.token + cycle.reclaims
    parameters = {
        "ids": [cycle.id] * cycle.reclaims,
        "tokens": list(range(cycle.token, token)),
        "token": token,
        "owner": cycle.owner,
        "seconds": settings.ORBIT_LEASE_SECONDS,
    }
    if not run(RECLAIM.text, parameters):
        return False
    cycle.token, cycle.reclaims = token, 0
    return True
