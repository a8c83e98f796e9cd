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
from django.db import connection, transaction

from governance.kernel import sql
from governance.namespaces import gate
from orbit import interrupts
from orbit.cycles.cursor import UNSETTLED_SECONDS, Cursor, SuspectedCursor
from orbit.records import fence
from orbit.records.fence import ALONE_FROM, ClaimedCycle

# Larger inputs are loaded when a tier needs them, to bound the memory of a process with many slots.
SMALL_INPUT = 256 * 1024
# A claim looks at so many of the oldest due cycles. If too few of them may run, it looks at the
# oldest of so many namespaces.
LOOKS, NAMESPACES = 32, 100
# A look for suspected cycles at so many of the oldest; the next look goes on behind them.
SUSPECTED_LOOKS = 500
# The most looks of one claim, each behind the one before. More only if most namespaces are open,
# but have nothing due, while stopped ones have much.
_MOST_LOOKS = 100
# The columns of a claim before those of a cycle: where to look next.
_LOOKED = 6
# Ends the name of an owner that runs one cycle alone.
_ALONE = ":alone"

_TAKE_LEASES = sql.fragment(__name__, "take_leases", small_input=SMALL_INPUT)
_IS_CLAIMABLE = sql.fragment(__name__, "is_claimable", gate_is_open=gate.OPEN)
_SUSPECTED_DUE = sql.fragment(
    __name__, "suspected_due", alone_from=ALONE_FROM, looks=SUSPECTED_LOOKS
)
CLAIM = sql.load(
    __name__,
    "claim",
    oldest_due=sql.fragment(__name__, "oldest_due", alone_from=ALONE_FROM, pause=gate.PAUSE),
    oldest_in_namespace=sql.fragment(__name__, "oldest_in_namespace", alone_from=ALONE_FROM),
    is_claimable=_IS_CLAIMABLE,
    take_leases=_TAKE_LEASES,
    alone_from=ALONE_FROM,
    looks=LOOKS,
    namespaces=NAMESPACES,
    unsettled_seconds=UNSETTLED_SECONDS,
)
CLAIM_SUSPECTED = sql.load(
    __name__,
    "claim_suspected",
    suspected_due=_SUSPECTED_DUE,
    is_claimable=_IS_CLAIMABLE,
    take_leases=_TAKE_LEASES,
    alone_from=ALONE_FROM,
)
COUNT_SUSPECTED = sql.load(
    __name__, "count_suspected", suspected_due=_SUSPECTED_DUE, gate_is_open=gate.OPEN
)
CLAIM_STOPPED = sql.load(
    __name__, "claim_stopped", gate_is_open=gate.OPEN, take_leases=_TAKE_LEASES
)
RENEW = sql.load(__name__, "renew_leases")
GIVE_BACK = sql.load(__name__, "give_back_leases")
NEXT_DUE = sql.load(
    __name__, "next_due", alone_from=ALONE_FROM, looks=LOOKS, gate_is_open=gate.OPEN
)
GIVE_BACK_UNSTARTED = sql.load(__name__, "give_back_unstarted")


def owner() -> str:
    """Return this process's name as an owner of leases."""
    return _owner_of(os.getpid()) + (_ALONE if interrupts.process.alone else "")


@functools.cache
def _owner_of(pid: int) -> str:
    # New at every start: host and pid come again. By pid, because a child is another owner.
    return f"{socket.gethostname()[:60]}:{pid}:{uuid.uuid4().hex[:8]}"


def claim(limit: int, *, cursor: Cursor | None = None) -> list[ClaimedCycle]:
    """Claim up to ``limit`` due cycles, the oldest first.

    ``cursor`` is the process's; None looks at all.
    """
    if gate.paused_here():
        return []
    cursor = cursor or Cursor()
    cursor.begin()
    from_the_first = cursor.after == 0
    for _ in range(_MOST_LOOKS):
        since, since_id = cursor.since
        parameters = {
            **_term(),
            "limit": limit,
            "since": since,
            "since_id": since_id,
            "after": cursor.after,
        }
        rows = fence.run(CLAIM.text, parameters)
        first_due, first_id, edge_due, edge_id, settled, after, *_ = rows[0]
        cursor.move(
            first=(first_due, first_id) if first_due else None,
            edge=(edge_due, edge_id) if edge_due else None,
            settled=settled,
            after=after,
        )
        cycles = [_claimed(row[_LOOKED:]) for row in rows if row[_LOOKED] is not None]
        if cycles or (after is None and from_the_first):
            return cycles
        from_the_first = from_the_first or after is None  # once more, from the first namespace
    return []


def claim_alone(*, cursor: SuspectedCursor | None = None) -> list[ClaimedCycle]:
    """Claim the oldest due cycle that must run alone; none if one does, anywhere."""
    if gate.paused_here():
        return []
    place = cursor or SuspectedCursor()
    with transaction.atomic():
        with connection.cursor() as lock:
            lock.execute("SELECT pg_try_advisory_xact_lock(hashtext('orbit.alone'))")
            (is_first,) = lock.fetchone()
        if not is_first:
            return []  # another process is claiming it
        parameters = {**_term(), **place.parameters(), "alone": f"%{_ALONE}"}
        (edge_due, edge_id, *row), *_ = fence.run(CLAIM_SUSPECTED.text, parameters)
        is_found = row[0] is not None
        place.move(is_found=is_found, edge=(edge_due, edge_id) if edge_due else None)
        return [_claimed(tuple(row))] if is_found else []


def is_suspected_due(*, cursor: SuspectedCursor | None = None) -> bool:
    """Tell whether a due cycle must run alone."""
    if gate.paused_here():
        return False
    place = cursor or SuspectedCursor()
    ((is_found, edge_due, edge_id),) = COUNT_SUSPECTED.send(**place.parameters())
    place.move(is_found=is_found, edge=(edge_due, edge_id) if edge_due else None)
    return bool(is_found)


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


def give_back_unstarted(running: Sequence[ClaimedCycle], *, asked_at: datetime) -> int:
    """Give back what a claim took before ``asked_at`` whose answer was lost; return how many."""
    parameters = {
        **_term(),
        "running": [cycle.id for cycle in running],
        "asked_at": asked_at,
    }
    return len(fence.run(GIVE_BACK_UNSTARTED.text, parameters))


def next_due() -> datetime | None:
    """Return when the next free cycle that isn't stopped is due."""
    if gate.paused_here():
        return None
    ((due,),) = NEXT_DUE.send()
    moment: datetime | None = due
    return moment


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
        resumes,
        ran_out,
        takeover,
        traceparent,
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
        resumes=resumes,
        resumed=ran_out,
        takeover=json.loads(takeover) if takeover is not None else None,
        owner=owner(),
        traceparent=traceparent,
    )
