"""Which jobs are sent next. Jobs have no lease of their own: the cycle's counts.

One statement takes the due jobs of one cycle, reads the gate, and writes a receipt for each attempt before a byte leaves. After a crash the
receipts that say ``sending`` tell which requests may have been made.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from governance.namespaces import gate
from orbit.dispatch import circuit, endpoints
from orbit.dispatch.endpoints import Endpoint
from orbit.outbound import secrets
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.states import JOB, Job

_START_ATTEMPTS = sql.fragment(__name__, "start_attempts", job_sources=JOB.sql_sources(Job.SENDING))
#: How a statement goes on from its CTE ``due``: jobs move, and receipts are written.
TAKE: dict[str, sql.Fragment] = {
    "locked": fence.LOCKED,
    "start_attempts": _START_ATTEMPTS,
    "may_have_arrived": sql.fragment(__name__, "may_have_arrived"),
}
CLAIM = sql.load(
    __name__,
    "claim",
    gate_is_open=gate.OPEN,
    is_limited=sql.fragment(__name__, "is_limited"),
    down_seconds=circuit.DOWN_SECONDS,
    **TAKE,
)
READ_SNAPSHOT = sql.load(__name__, "read_snapshot")

_CACHED = 256
_opened: "OrderedDict[UUID, Endpoint | None]" = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Sending:
    """One attempt whose receipt is written and whose request has not left. ``endpoint`` is None when no key opens its snapshot.

    ``asks`` tells that an earlier attempt may have arrived; ``state_id`` is the receiver's row, and ``probe`` says that its circuit is open.
    Without a ``receipt_id`` there is no attempt: the job ends as it stands.
    """

    cycle_id: UUID
    receipt_id: UUID | None
    job_id: UUID
    attempt: int
    spent: int
    max_retries: int
    delivery_id: UUID
    endpoint_key: str
    endpoint: Endpoint | None
    body: bytes = b""
    content_type: str = ""
    state_id: UUID | None = None
    asks: bool = False
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """What a claim left: the guarded ``receiver`` that may be asked first, None where there is none, and the seconds for which none may be asked,
    None where only their locks tell. ``shared`` tells that jobs are left for receivers that have their share of the senders.
    """

    receiver: UUID | None = None
    wait: float | None = None
    shared: bool = False


def wave(
    work: ClaimedCycle, *, limit: int, worker: str, full: Sequence[UUID] = ()
) -> tuple[list[Sending], Rest]:
    """Take at most ``limit`` due jobs of ``work`` for sending, none for the receivers in ``full``; tell what is left.

    Raises Fenced. None are taken where the gate is closed.
    """
    rows = fence.run(
        CLAIM.text,
        {**parameters(work, limit=limit, worker=worker), "limit": limit, "full": list(full)},
    )
    if not rows:
        raise Fenced
    *_, receiver, wait, shared = rows[0]
    return sendings(rows), Rest(receiver, wait, bool(shared))


def parameters(work: ClaimedCycle, *, limit: int, worker: str) -> dict[str, Any]:
    """Return what ``taken`` and the fence take, with ids for up to ``limit`` receipts."""
    return {
        "ids": [work.id],
        "tokens": [work.token],
        "receipts": [uuid7() for _ in range(limit)],
        "worker": worker,
    }


def sendings(rows: Sequence[tuple[Any, ...]]) -> list[Sending]:
    """Return the attempts that ``taken`` gave back."""
    return [
        Sending(
            cycle,
            receipt,
            job,
            attempt,
            spent,
            retries,
            delivery,
            key,
            opened(snapshot),
            bytes(body),
            content_type,
            state,
            asks,
        )
        for cycle, receipt, job, attempt, spent, retries, delivery, key, snapshot, body, content_type, state, asks, *_ in rows
        if receipt is not None
    ]


def opened(snapshot_id: UUID) -> Endpoint | None:
    """Return the endpoint of a snapshot, or None when no key opens it; kept in memory, since snapshots never change."""
    with _lock:
        if snapshot_id in _opened:
            _opened.move_to_end(snapshot_id)
            return _opened[snapshot_id]
    row = READ_SNAPSHOT.one(id=snapshot_id)
    assert row is not None  # noqa: S101 - jobs keep their snapshot by a foreign key
    (sealed,) = row
    try:
        endpoint: Endpoint | None = endpoints.from_snapshot(
            secrets.unseal(bytes(sealed), settings.ORBIT_ENCRYPTION_KEYS)
        )
    except (secrets.Unreadable, ValueError):
        endpoint = None
    with _lock:
        _opened[snapshot_id] = endpoint
        while len(_opened) > _CACHED:
            _opened.popitem(last=False)
    return endpoint
