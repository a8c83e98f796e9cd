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
from django.db import connection

from governance.kernel.identifiers import uuid7
from governance.namespaces import gate
from orbit.dispatch import circuit, endpoints
from orbit.dispatch.endpoints import Endpoint
from orbit.outbound import secrets
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.states import JOB, Job

# What ``guarded`` claims, under the lock of the receiver's row: a cap, an open circuit, or a pause that was asked for.
_GUARDED = """(e.max_concurrency IS NOT NULL OR e.rate_per_second IS NOT NULL OR e.opened_at IS NOT NULL
            OR e.hold_until IS NOT NULL AND e.hold_until > clock_timestamp())"""
_DUE = """orbit_dispatchjob j JOIN locked ON locked.id = j.cycle_id JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
        LEFT JOIN orbit_endpointstate e ON e.id = s.state_id
    WHERE j.status = 'pending' AND j.next_attempt_at <= clock_timestamp()"""


# Whether an earlier attempt may have arrived; of a requeued job also one of the jobs whose delivery it takes up. No EXISTS for these: the
# planner may turn that into a walk over all jobs.
_MAYBE_THERE = """CASE WHEN m.requeue_of_id IS NOT NULL THEN coalesce((SELECT true FROM orbit_dispatchjob o JOIN orbit_deliveryreceipt r ON r.job_id = o.id
        WHERE o.delivery_id = m.delivery_id AND r.status = 'unknown' LIMIT 1), false)
    ELSE m.attempts > 1 AND EXISTS (SELECT 1 FROM orbit_deliveryreceipt r WHERE r.job_id = m.id AND r.status = 'unknown') END"""


def taken(left: str = "", columns: str = "") -> str:
    """Return how a claim goes on from its CTE ``due``: jobs move, receipts are written, what a sender needs comes back, and last ``columns`` of ``left``."""
    return f"""numbered AS (SELECT id, row_number() OVER () AS place FROM due),
moved AS (
    UPDATE orbit_dispatchjob j SET status = 'sending', attempts = j.attempts + 1, next_attempt_at = NULL
    FROM numbered WHERE j.id = numbered.id AND j.status IN ({JOB.sql_sources(Job.SENDING)})
    RETURNING j.id, (%(receipts)s::uuid[])[numbered.place] AS receipt_id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key,
        j.snapshot_id, j.normalization_item_id, j.cycle_id, j.requeue_of_id),
written AS (
    INSERT INTO orbit_deliveryreceipt (id, job_id, attempt, status, worker, fencing_token, started_at, body_sha256)
    SELECT m.receipt_id, m.id, m.attempts, 'sending', %(worker)s, locked.token, clock_timestamp(), i.sha256
    FROM moved m JOIN locked ON locked.id = m.cycle_id JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id)
SELECT locked.id, m.receipt_id, m.id, m.attempts, m.spent, m.max_retries, m.delivery_id, m.endpoint_key, m.snapshot_id, i.payload, i.content_type,
    s.state_id, {_MAYBE_THERE}{columns}
FROM locked LEFT JOIN moved m ON m.cycle_id = locked.id LEFT JOIN orbit_normalizationitem i ON i.id = m.normalization_item_id
    LEFT JOIN orbit_endpointsnapshot s ON s.id = m.snapshot_id {left}"""


# What a claim left, told without a lock: the guarded receiver that may be asked first, and for how long nothing may go to any of them, null where
# a look under the lock may bring something, or has to give up who waits for longer than a day; and whether jobs are left for receivers in ``full``.
_LEFT = f"""LEFT JOIN LATERAL (
    SELECT (array_agg(x.id ORDER BY x.until) FILTER (WHERE x.guarded))[1] AS receiver,
        CASE WHEN bool_and(x.closed) FILTER (WHERE x.guarded)
            THEN extract(epoch FROM min(x.until) FILTER (WHERE x.guarded) - clock_timestamp())::float8 END AS wait,
        coalesce(bool_or(NOT x.guarded AND x.id = ANY(%(full)s::uuid[])), false) AS shared
    FROM (SELECT e.id, {_GUARDED} AS guarded, coalesce(e.probe_at, e.hold_until) AS until,
            coalesce(CASE WHEN e.opened_at IS NULL THEN e.hold_until > clock_timestamp() ELSE e.probe_at > clock_timestamp()
                AND e.opened_at > clock_timestamp() - {circuit.DOWN_SECONDS} * interval '1 second' END, false) AS closed
        FROM {_DUE} AND {gate.OPEN_SQL.format(namespace="locked.namespace")}) AS x) AS rest ON (SELECT count(*) FROM moved) < %(limit)s"""
# Asked for only where senders are left.
WAVE = f"""WITH {fence.LOCKED_CTE},
due AS MATERIALIZED (  -- fences the planner: a nested loop could take more than the limit
    SELECT j.id FROM {_DUE} AND {gate.OPEN_SQL.format(namespace="locked.namespace")}
        AND (e.id IS NULL OR NOT {_GUARDED} AND e.id <> ALL(%(full)s::uuid[]))
    ORDER BY j.next_attempt_at, j.id LIMIT %(limit)s FOR NO KEY UPDATE OF j),
{taken(_LEFT, ", rest.receiver, rest.wait, rest.shared")}"""

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
        WAVE, {**parameters(work, limit=limit, worker=worker), "limit": limit, "full": list(full)}
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
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM orbit_endpointsnapshot WHERE id = %s", [snapshot_id])
        (sealed,) = cursor.fetchone()
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
