"""Claim, renew and give back the leases of cycles, by the database's clock.

Each claim raises the fencing token, which every later write must carry. After a crash the lease
runs out, and the next claim takes the cycle.
"""

import functools
import json
import os
import socket
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from governance.kernel import sql
from governance.namespaces import gate
from orbit.records import fence
from orbit.records.fence import ClaimedCycle

# After this many resumes, claim a cycle alone: a poison cycle must not take others down with its
# worker.
ALONE_FROM = 2
# Larger inputs are loaded when a tier needs them, to bound the memory of a process with many slots.
SMALL_INPUT = 256 * 1024

_TAKE_LEASES = sql.fragment(__name__, "take_leases", small_input=SMALL_INPUT)
CLAIM = sql.load(
    __name__,
    "claim",
    alone_from=ALONE_FROM,
    gate_is_open=gate.OPEN,
    take_leases=_TAKE_LEASES,
)
CLAIM_STOPPED = sql.load(
    __name__, "claim_stopped", gate_is_open=gate.OPEN, take_leases=_TAKE_LEASES
)
RENEW = sql.load(__name__, "renew_leases")
GIVE_BACK = sql.load(__name__, "give_back_leases")
GIVE_BACK_UNSTARTED = sql.load(__name__, "give_back_unstarted")
NEXT_DUE = sql.load(__name__, "next_due", gate_is_open=gate.OPEN)


def owner() -> str:
    """Return this process's name as an owner of leases."""
    return _owner_of(os.getpid())


@functools.cache
def _owner_of(pid: int) -> str:
    # New at every start: host and pid come again. By pid, because a child is another owner.
    return f"{socket.gethostname()[:60]}:{pid}:{uuid.uuid4().hex[:8]}"


def claim(limit: int, *, alone: bool = False) -> list[ClaimedCycle]:
    """Claim up to ``limit`` due cycles; with ``alone`` those resumed often."""
    if gate.paused_here():
        return []
    parameters = {**_term(), "limit": limit, "alone": alone}
    return [_claimed(row) for row in fence.run(CLAIM.text, parameters)]


def claim_stopped(limit: int) -> list[ClaimedCycle]:
    """Claim stopped cycles with abandoned attempts: to close these, not to run."""
    return [_claimed(row) for row in fence.run(CLAIM_STOPPED.text, {**_term(), "limit": limit})]


def renew(held: Sequence[ClaimedCycle]) -> set[UUID]:
    """Extend the leases of ``held``; return those that are ours and not locked by a write."""
    return {row[0] for row in fence.run(RENEW.text, {**_term(), **_held(held)})}


def give_back(held: Sequence[ClaimedCycle], *, wait: float) -> datetime | None:
    """Make ``held`` due in ``wait`` seconds; return when the first is due."""
    parameters = {
        **_held(held),
        "owner": owner(),
        "requeues": [cycle.requeues for cycle in held],
        "wait": max(0.0, wait),
    }
    # None: none was ours any more.
    return min((row[1] for row in fence.run(GIVE_BACK.text, parameters)), default=None)


def give_back_unstarted(running: Sequence[ClaimedCycle]) -> int:
    """Give back what a claim took whose answer was lost; return how many cycles."""
    parameters = {**_term(), "running": [cycle.id for cycle in running]}
    return len(fence.run(GIVE_BACK_UNSTARTED.text, parameters))


def next_due() -> datetime | None:
    """Return when the next free cycle that isn't stopped is due."""
    if gate.paused_here():
        return None
    row = NEXT_DUE.one()
    return row[0] if row else None


def _term() -> dict[str, object]:
    return {"owner": owner(), "seconds": settings.ORBIT_LEASE_SECONDS}


def _held(held: Sequence[ClaimedCycle]) -> dict[str, object]:
    return {"ids": [cycle.id for cycle in held], "tokens": [cycle.token for cycle in held]}


def _claimed(row: tuple[Any, ...]) -> ClaimedCycle:
    (
        id_,
        token,
        namespace,
        status,
        profile_id,
        run_profile_id,
        instruction_id,
        context,
        initiation_hash,
        body,
        content_type,
        requeues,
        ran_out,
        takeover,
    ) = row
    return ClaimedCycle(
        id=id_,
        token=token,
        namespace=namespace,
        status=status,
        profile_id=profile_id,
        run_profile_id=run_profile_id,
        instruction_id=instruction_id,
        context=json.loads(context),
        initiation_hash=initiation_hash,
        input=bytes(body) if body is not None else None,
        input_content_type=content_type,
        requeues=requeues,
        resumed=ran_out,
        takeover=json.loads(takeover) if takeover is not None else None,
        owner=owner(),
    )
