"""Claim a cycle's due jobs for sending, each with a receipt before a byte leaves.

Jobs that began when they were enqueued (``first_wave``) need no claim before their first attempt.
The cycle's lease covers its jobs. After a crash, receipts that say ``sending`` show which requests
may have been made. Lock order: cycle, endpoints by id, jobs.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from governance.namespaces import gate
from orbit import queue
from orbit.dispatch import limits
from orbit.dispatch.endpoints import Endpoint
from orbit.dispatch.limits import Allowance, EndpointLimits
from orbit.dispatch.state import EndpointCache
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.states import JOB, Job

_START_ATTEMPTS = sql.fragment(__name__, "start_attempts", job_sources=JOB.sql_sources(Job.SENDING))
_MAY_HAVE_ARRIVED = sql.fragment(__name__, "may_have_arrived")
_IS_GIVEN_UP = sql.fragment(
    __name__,
    "is_given_up",
    down_seconds=limits.DOWN_SECONDS,
    stopped_seconds=gate.STOPPED_SECONDS,
)

CLAIM = sql.load(
    __name__,
    "claim",
    locked=fence.LOCKED,
    gate_is_open=gate.OPEN,
    is_limited=sql.fragment(__name__, "is_limited"),
    start_attempts=_START_ATTEMPTS,
    may_have_arrived=_MAY_HAVE_ARRIVED,
    down_seconds=limits.DOWN_SECONDS,
)
CLAIM_LIMITED = sql.load(
    __name__,
    "claim_limited",
    locked=fence.LOCKED,
    start_attempts=_START_ATTEMPTS,
    may_have_arrived=_MAY_HAVE_ARRIVED,
)
ADOPT = sql.load(
    __name__, "adopt_attempts", locked=fence.LOCKED, may_have_arrived=_MAY_HAVE_ARRIVED
)
LOCK_CYCLE = sql.load(__name__, "lock_cycle", locked=fence.LOCKED, gate_is_open=gate.OPEN)
LOCK_LIMITS = sql.load(__name__, "lock_limits")
COUNT_ATTEMPTS = sql.load(
    __name__,
    "count_attempts",
    is_given_up=_IS_GIVEN_UP,
    longest_seconds=limits.LONGEST_SECONDS,
)
EXPIRED_JOBS = sql.load(__name__, "expired_jobs", is_given_up=_IS_GIVEN_UP)
WAKE_WAITING_CYCLES = sql.load(
    __name__,
    "wake_waiting_cycles",
    waiting_for=sql.fragment(__name__, "waiting_for_endpoint"),
)

# Cycles to wake in one transaction, and the most transactions.
WAKE_BATCH, MAX_WAKE_BATCHES = 1000, 100


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
class ClaimedJob:
    """A claimed job whose request has not left yet."""

    cycle_id: UUID
    #: None: there is no attempt, because the job waited too long.
    receipt_id: UUID | None
    job_id: UUID
    attempt: int
    spent: int
    max_retries: int
    delivery_id: UUID
    endpoint_key: str
    #: None: no key opens its snapshot.
    endpoint: Endpoint | None
    body: bytes = b""
    content_type: str = ""
    #: The endpoint's row of limits.
    state_id: UUID | None = None
    #: An earlier attempt may have been received.
    may_have_arrived: bool = False
    #: The endpoint's circuit is open, and this attempt tests it.
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a claim without limits left."""

    #: The limited endpoint to try next, if any.
    limited: UUID | None = None
    #: Seconds until a limited endpoint may take a delivery. None: only `claim_limited` can tell.
    wait: float | None = None
    #: Jobs remain for endpoints that have their share of the senders.
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The jobs to send, those that expired, and when to ask again."""

    jobs: list[ClaimedJob] = field(default_factory=list)
    expired: list[ClaimedJob] = field(default_factory=list)
    #: Seconds; None: nothing is left for limited endpoints.
    wait: float | None = None
    #: The endpoint whose queue to join for that wait.
    limited: UUID | None = None
    #: As in ``Backlog``.
    shared: bool = False
    #: An earlier write began these attempts: the gate wasn't asked again.
    adopted: bool = False


def claim(
    cycle: ClaimedCycle,
    *,
    limit: int,
    worker: str,
    endpoints: EndpointCache,
    full: Collection[UUID] = (),
) -> ClaimResult:
    """Claim at most ``limit`` due jobs, none for endpoints in ``full``. Raises Fenced."""
    if cycle.begun:
        return adopt(cycle, limit=limit, endpoints=endpoints)
    jobs, backlog = claim_unlimited(
        cycle, limit=limit, worker=worker, endpoints=endpoints, full=full
    )
    result = ClaimResult(jobs, wait=backlog.wait, limited=backlog.limited, shared=backlog.shared)
    # Locking limits costs a transaction: only if there is room, and an endpoint may be free.
    if backlog.limited is None or backlog.wait is not None or len(jobs) >= limit:
        return result
    try:
        more = claim_limited(
            cycle, limit=limit - len(jobs), worker=worker, endpoints=endpoints, full=full
        )
    except fence.AWAY:
        if not jobs:
            raise
        # The first claim is on record as being sent, so its jobs must be sent.
        connection.close()
        return result
    return replace(more, jobs=jobs + more.jobs, shared=more.shared or backlog.shared)


def claim_unlimited(
    cycle: ClaimedCycle,
    *,
    limit: int,
    worker: str,
    endpoints: EndpointCache,
    full: Collection[UUID] = (),
) -> tuple[list[ClaimedJob], Backlog]:
    """Claim jobs whose endpoints have no limit. Raises Fenced."""
    parameters = _begin(cycle, limit=limit, worker=worker)
    rows = fence.run(CLAIM.text, {**parameters, "limit": limit, "full": list(full)})
    if not rows:
        cycle.begun = []
        raise Fenced
    *_, limited, wait, shared = rows[0]
    jobs = _claimed(rows, endpoints)
    # Only now: that may read snapshots, and if a read is lost, these attempts are adopted.
    cycle.begun = []
    return jobs, Backlog(limited, wait, bool(shared))


def claim_limited(
    cycle: ClaimedCycle,
    *,
    limit: int,
    worker: str,
    endpoints: EndpointCache,
    full: Collection[UUID] = (),
) -> ClaimResult:
    """Claim as many jobs as limited endpoints allow. Raises Fenced."""
    with fence.collisions(), transaction.atomic():
        rows = fence.run(LOCK_CYCLE.text, {"ids": [cycle.id], "tokens": [cycle.token]})
        if not rows:
            raise Fenced
        (gate_is_open,) = rows[0]
        if not gate_is_open:
            return ClaimResult()
        limits_by_id = {
            row[0]: EndpointLimits(*row) for row in fence.run(LOCK_LIMITS.text, {"cycle": cycle.id})
        }
        parameters = {"cycle": cycle.id, "states": list(limits_by_id)}
        counts = fence.run(COUNT_ATTEMPTS.text, parameters)
        if not counts:
            return ClaimResult()
        allowances = _allow(limits_by_id, [row for row in counts if row[0] not in full], limit)
        expired = [_expired(cycle, row) for row in fence.run(EXPIRED_JOBS.text, parameters)]
        rows = fence.run(
            CLAIM_LIMITED.text,
            {
                **_begin(cycle, limit=limit, worker=worker),
                "allowed": json.dumps([_allowed_row(allowance) for allowance in allowances]),
                "limits": json.dumps([_limits_row(allowance.limits) for allowance in allowances]),
            },
        )
        jobs = _claimed(rows, endpoints)
    cycle.begun = []
    probed = {id_ for id_, row in limits_by_id.items() if row.opened_at is not None}
    now: datetime = counts[0][1]
    waits = [
        max(0.0, (allowance.again_at - now).total_seconds())
        for allowance in allowances
        if allowance.again_at
    ]
    return ClaimResult(
        [replace(job, is_probe=job.state_id in probed) for job in jobs],
        expired,
        min(waits, default=None),
        shared=any(id_ in full and due for id_, _, _, due, _ in counts),
    )


def adopt(cycle: ClaimedCycle, *, limit: int, endpoints: EndpointCache) -> ClaimResult:
    """Return attempts that a write began whose answer was lost: send these. Raises Fenced."""
    # Until then that write, a claim or ``first_wave``, may still run.
    if not fence.reclaim(cycle):
        raise Fenced
    rows = fence.run(
        ADOPT.text,
        {"ids": [cycle.id], "tokens": [cycle.token], "receipts": cycle.begun, "limit": limit},
    )
    if not rows:
        raise Fenced
    jobs = _claimed(rows, endpoints)
    adopted = {job.receipt_id for job in jobs}
    # Fewer than the limit: the others don't exist.
    cycle.begun = [id_ for id_ in cycle.begun if id_ not in adopted] if len(jobs) == limit else []
    probes = {row[1] for row in rows if row[-1]}
    jobs = [replace(job, is_probe=job.receipt_id in probes) for job in jobs]
    return ClaimResult(jobs, adopted=True)


def wake_waiting_cycles(state_id: UUID) -> int:
    """Make cycles due that wait for an endpoint. Return how many."""
    # They would look again by themselves, but later.
    woken = 0
    for _ in range(MAX_WAKE_BATCHES):
        with transaction.atomic():
            rows = fence.run(WAKE_WAITING_CYCLES.text, {"state": state_id, "most": WAKE_BATCH})
            if rows:
                queue.wake()
        woken += len(rows)
        if len(rows) < WAKE_BATCH:
            break
    return woken


def _begin(cycle: ClaimedCycle, *, limit: int, worker: str) -> dict[str, Any]:
    """Return the parameters of a claim; note its receipts in case its answer is lost."""
    cycle.begun = [uuid7() for _ in range(limit)]
    return {
        "ids": [cycle.id],
        "tokens": [cycle.token],
        "receipts": cycle.begun,
        "worker": worker,
    }


def _claimed(rows: Sequence[tuple[Any, ...]], endpoints: EndpointCache) -> list[ClaimedJob]:
    # A row without a receipt only says that the fence held.
    return [_claimed_job(row, endpoints) for row in rows if row[1] is not None]


def _claimed_job(row: tuple[Any, ...], endpoints: EndpointCache) -> ClaimedJob:
    (
        cycle_id,
        receipt_id,
        job_id,
        attempt,
        spent,
        max_retries,
        delivery_id,
        endpoint_key,
        snapshot_id,
        body,
        content_type,
        state_id,
        may_have_arrived,
        *_,
    ) = row
    return ClaimedJob(
        cycle_id,
        receipt_id,
        job_id,
        attempt,
        spent,
        max_retries,
        delivery_id,
        endpoint_key,
        endpoints.get(snapshot_id),
        bytes(body),
        content_type,
        state_id,
        may_have_arrived,
    )


def _expired(cycle: ClaimedCycle, row: tuple[Any, ...]) -> ClaimedJob:
    job_id, attempts, spent, max_retries, delivery_id, endpoint_key, state_id = row
    return ClaimedJob(
        cycle.id,
        None,
        job_id,
        attempts,
        spent,
        max_retries,
        delivery_id,
        endpoint_key,
        None,
        state_id=state_id,
    )


def _allow(
    limits_by_id: dict[UUID, EndpointLimits], counts: list[tuple[Any, ...]], limit: int
) -> list[Allowance]:
    allowances: list[Allowance] = []
    for id_, now, in_flight, due, oldest in counts:
        allowance = limits.allow(
            limits_by_id[id_], now=now, in_flight=in_flight, due=min(due, limit), oldest=oldest
        )
        limit -= allowance.count
        allowances.append(allowance)
    return allowances


def _allowed_row(allowance: Allowance) -> dict[str, Any]:
    return {"state_id": str(allowance.limits.id), "most": allowance.count}


def _limits_row(row: EndpointLimits) -> dict[str, Any]:
    times = {
        "opened_at": row.opened_at,
        "probe_at": row.probe_at,
        "next_slot_at": row.next_slot_at,
        "next_turn_at": row.next_turn_at,
    }
    return {
        "id": str(row.id),
        "probe_wait": row.probe_wait,
        **{name: at.isoformat() if at else None for name, at in times.items()},
    }
