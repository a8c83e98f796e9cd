"""Who runs a cycle: claim, renew, give back.

A claim takes cycles that are due and that nobody holds, or whose lease ran out, in one statement; SKIP LOCKED lets any number of workers
claim side by side. Each claim raises the fencing token, which every later write must carry. Times are the database's. After a crash
nothing needs to be done: the lease runs out, and the next claim takes the cycle.
"""

import json
import os
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from governance.namespaces import gate
from orbit.records import fence
from orbit.records.fence import ClaimedCycle

# A cycle that was resumed this often already is claimed by itself: should it be what kills its worker, it takes no other with it.
ALONE_FROM = 2
# A larger input is read when a tier is about to run on it: what many lanes hold at once has to find room in one process.
SMALL_INPUT = 256 * 1024

_CLAIM = """WITH due AS MATERIALIZED (  -- fences the planner: a nested loop could take more than the limit
    SELECT c.id, c.lease_owner IS NOT NULL AS ran_out FROM orbit_cyclerun c
    WHERE c.next_due_at <= now() AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now()) AND {which}
    ORDER BY c.next_due_at, c.id LIMIT %(limit)s FOR NO KEY UPDATE OF c SKIP LOCKED)
UPDATE orbit_cyclerun c SET fencing_token = c.fencing_token + 1, lease_owner = %(owner)s,
    lease_expires_at = now() + %(seconds)s * interval '1 second', next_due_at = now() + %(seconds)s * interval '1 second',
    status = CASE WHEN c.status = 'pending' THEN 'running' ELSE c.status END, started_at = coalesce(c.started_at, clock_timestamp()),
    resumes = least(c.resumes + due.ran_out::int, 30000)
FROM due WHERE c.id = due.id
RETURNING c.id, c.fencing_token, c.namespace, c.status, c.profile_id, c.run_profile_id, c.instruction_id, c.context, c.initiation_hash,
    CASE WHEN c.fencing_token = 1 AND octet_length(c.input) <= {small} THEN c.input END, c.input_content_type, c.requeues, due.ran_out,
    c.takeover""".replace("{small}", str(SMALL_INPUT))
_OPEN = gate.OPEN_SQL.format(namespace="c.namespace")
CLAIM = _CLAIM.replace("{which}", f"(c.resumes >= {ALONE_FROM}) = %(alone)s AND {_OPEN}")
# Of cycles that nobody may carry: those with attempts that a lost worker left open. It starts from these, which are few, and from nothing
# where nothing is halted or paused.
CLAIM_STOPPED = _CLAIM.replace(
    "{which}",
    f"""EXISTS (SELECT 1 FROM governance_stop h WHERE h.ended_at IS NULL AND h.kind IN ('halt', 'pause'))
        AND c.id = ANY(ARRAY(SELECT j.cycle_id FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE r.status = 'sending'))
        AND NOT ({_OPEN})""",
)

RENEW = """UPDATE orbit_cyclerun c SET lease_expires_at = now() + %(seconds)s * interval '1 second',
    next_due_at = now() + %(seconds)s * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS held(id, token)
WHERE c.id = held.id AND c.fencing_token = held.token AND c.lease_owner = %(owner)s RETURNING c.id"""

# A requeue that came meanwhile has made a job that the worker doesn't know of: then the cycle is due at once.
GIVE_BACK = """UPDATE orbit_cyclerun c SET lease_owner = NULL, lease_expires_at = NULL,
    next_due_at = clock_timestamp() + CASE WHEN c.requeues = held.requeues THEN %(wait)s ELSE 0 END * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(requeues)s::int[]) AS held(id, token, requeues)
WHERE c.id = held.id AND c.fencing_token = held.token AND c.lease_owner = %(owner)s RETURNING c.id, c.next_due_at"""

# In the order of the index, and no further than the first that the gate lets through.
NEXT_DUE = f"""SELECT c.next_due_at FROM orbit_cyclerun c WHERE c.next_due_at IS NOT NULL AND c.lease_owner IS NULL
    AND {_OPEN} ORDER BY c.next_due_at LIMIT 1"""

_owner: tuple[int, str] = (0, "")


def owner() -> str:
    """Return this process's name as a holder of leases: new at every start, since host and pid come again."""
    global _owner
    if _owner[0] != os.getpid():
        _owner = (os.getpid(), f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}")
    return _owner[1]


def claim(limit: int, *, alone: bool = False) -> list[ClaimedCycle]:
    """Claim up to ``limit`` cycles that are due; with ``alone`` such as were resumed repeatedly, without it all others."""
    if gate.paused_here():
        return []
    return _works(
        fence.run(
            CLAIM,
            {
                "limit": limit,
                "alone": alone,
                "owner": owner(),
                "seconds": settings.ORBIT_LEASE_SECONDS,
            },
        )
    )


def claim_stopped(limit: int) -> list[ClaimedCycle]:
    """Claim up to ``limit`` cycles of halted namespaces, or paused ones, in which a lost worker left attempts open: to close those, no more."""
    return _works(
        fence.run(
            CLAIM_STOPPED,
            {"limit": limit, "owner": owner(), "seconds": settings.ORBIT_LEASE_SECONDS},
        )
    )


def _works(rows: list[tuple[Any, ...]]) -> list[ClaimedCycle]:
    return [
        ClaimedCycle(
            id=id_,
            token=token,
            namespace=namespace,
            status=status,
            profile_id=profile_id,
            run_profile_id=run_profile_id,
            instruction_id=instruction_id,
            context=json.loads(context),
            initiation_hash=initiation_hash,
            input=bytes(input_) if input_ is not None else None,
            input_content_type=content_type,
            requeues=requeues,
            resumed=ran_out,
            takeover=json.loads(takeover) if takeover is not None else None,
        )
        for (
            id_,
            token,
            namespace,
            status,
            profile_id,
            run_profile_id,
            instruction_id,
            context,
            initiation_hash,
            input_,
            content_type,
            requeues,
            ran_out,
            takeover,
        ) in rows
    ]


def renew(held: Sequence[ClaimedCycle]) -> set[UUID]:
    """Extend the leases of ``held`` to a full term from now, in one statement; return those that are still ours."""
    rows = fence.run(RENEW, {**_held(held), "seconds": settings.ORBIT_LEASE_SECONDS})
    return {row[0] for row in rows}


def give_back(held: Sequence[ClaimedCycle], *, wait: float) -> datetime | None:
    """End the leases of ``held`` and make their cycles due in ``wait`` seconds; return that moment, or None when all were another's."""
    requeues = [work.requeues for work in held]
    rows = fence.run(GIVE_BACK, {**_held(held), "requeues": requeues, "wait": max(0.0, wait)})
    return min((row[1] for row in rows), default=None)


def _held(held: Sequence[ClaimedCycle]) -> dict[str, object]:
    return {
        "ids": [work.id for work in held],
        "tokens": [work.token for work in held],
        "owner": owner(),
    }


def next_due() -> datetime | None:
    """Return when the next cycle that nobody holds and nothing stops is due; None when there is none."""
    if gate.paused_here():
        return None
    with connection.cursor() as cursor:
        cursor.execute(NEXT_DUE)
        row = cursor.fetchone()
    return row[0] if row else None
