"""The claim of jobs whose receiver has a cap, an open circuit, or asked for a pause.

One short transaction: the fence first, then the receivers' rows in one order, then the counts as they are under these locks, then the
claim. What is in flight is counted from the receipts that say ``sending``, of all processes; so those of a worker that died count until
its cycle is resumed, and nothing has to be put right after a crash.
"""

import json
import random
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from governance.kernel import sql
from governance.namespaces import gate
from orbit import queue
from orbit.dispatch import circuit, claim
from orbit.dispatch.circuit import Allowance, Guard
from orbit.dispatch.claim import Sending
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced

LOCK_CYCLE = sql.load(__name__, "lock_cycle", locked=fence.LOCKED, gate_is_open=gate.OPEN)
LOCK_LIMITS = sql.load(__name__, "lock_limits")
_IS_GIVEN_UP = sql.fragment(
    __name__,
    "is_given_up",
    down_seconds=circuit.DOWN_SECONDS,
    stopped_seconds=gate.STOPPED_SECONDS,
)
COUNT_ATTEMPTS = sql.load(
    __name__,
    "count_attempts",
    is_given_up=_IS_GIVEN_UP,
    longest_seconds=circuit.LONGEST_SECONDS,
)
EXPIRED_JOBS = sql.load(__name__, "expired_jobs", is_given_up=_IS_GIVEN_UP)
CLAIM = sql.load(__name__, "claim_limited", **claim.TAKE)
WAKE = sql.load(__name__, "wake_waiting_cycles")
ROUND, MOST_ROUNDS = 1000, 100
# Two waits for one receiver that end this close to each other are for the same moment.
SAME_SECONDS, LONGEST_LINE_SECONDS = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What may be sent, what is given up, and the seconds until it is worth asking again for the rest; None when there is no rest.

    ``line`` is the receiver for which others wait too. ``shared`` tells that jobs are left for receivers that have their share of the senders.
    """

    sendings: list[Sending] = field(default_factory=list)
    expired: list[Sending] = field(default_factory=list)
    wait: float | None = None
    line: UUID | None = None
    shared: bool = False


def wave(work: ClaimedCycle, *, limit: int, worker: str, full: Collection[UUID] = ()) -> Taken:
    """Take at most ``limit`` due jobs of ``work``, no more than each receiver's caps and circuit allow, none for those in ``full``. Raises Fenced."""
    with transaction.atomic():
        rows = fence.run(LOCK_CYCLE.text, {"ids": [work.id], "tokens": [work.token]})
        if not rows:
            raise Fenced
        if not rows[0][0]:
            return Taken()
        guards = {row[0]: Guard(*row) for row in fence.run(LOCK_LIMITS.text, {"cycle": work.id})}
        known = {"cycle": work.id, "states": list(guards)}
        counts = fence.run(COUNT_ATTEMPTS.text, known)
        if not counts:
            return Taken()
        allowed = _allow(guards, [row for row in counts if row[0] not in full], limit)
        expired = [Sending(work.id, None, job, attempt, spent, retries, delivery, key, None, state_id=state)
                   for job, attempt, spent, retries, delivery, key, state in fence.run(EXPIRED_JOBS.text, known)]  # fmt: skip
        rows = fence.run(CLAIM.text, {
            **claim.parameters(work, limit=limit, worker=worker),
            "allowed": json.dumps([{"state_id": str(found.guard.id), "most": found.count} for found in allowed]),
            "guards": json.dumps([_row(found.guard) for found in allowed]),
        })  # fmt: skip
        sendings = [
            replace(
                found,
                probe=found.state_id in guards and guards[found.state_id].opened_at is not None,
            )
            for found in claim.sendings(rows)
        ]
    now: datetime = counts[0][1]
    waits = [
        max(0.0, (found.again_at - now).total_seconds()) for found in allowed if found.again_at
    ]
    return Taken(
        sendings,
        expired,
        min(waits, default=None),
        shared=any(row[0] in full and row[3] for row in counts),
    )


@dataclass(slots=True)
class _Line:
    opens: float
    turn: float


_lines: dict[UUID, _Line] = {}
_lining = threading.Lock()


def line_up(receiver: UUID, wait: float) -> float:
    """Return the seconds until a cycle's turn for ``receiver``, to which nothing may go for ``wait`` seconds, behind those of this process that wait already.

    Nothing is locked and nothing written, so that a receiver that is down costs the others next to nothing.
    """
    now = time.monotonic()
    opens = now + wait
    with _lining:
        line = _lines.get(receiver)
        if line is None or abs(line.opens - opens) > SAME_SECONDS:
            line = _lines[receiver] = _Line(opens, opens)
        else:
            line.turn += circuit.SPACING.total_seconds()
        for other in [known for known, kept in _lines.items() if kept.turn < now]:
            del _lines[other]
        behind = line.turn - opens
    # A line that is longer comes back over a minute all the same.
    return wait + (
        behind if behind < LONGEST_LINE_SECONDS else random.uniform(0, LONGEST_LINE_SECONDS)  # noqa: S311
    )


def wake(state_id: UUID) -> int:
    """Have the cycles looked at now that wait for a receiver whose circuit was open; return how many. They'd find out by themselves, later."""
    woken = 0
    for _ in range(MOST_ROUNDS):
        with transaction.atomic():
            found = len(fence.run(WAKE.text, {"state": state_id, "most": ROUND}))
            if found:
                queue.wake()
        woken += found
        if found < ROUND:
            break
    return woken


def _allow(guards: dict[UUID, Guard], counts: list[tuple[Any, ...]], limit: int) -> list[Allowance]:
    """Return what each receiver allows; together no more than ``limit``."""
    found: list[Allowance] = []
    for id_, now, in_flight, wanted, oldest in counts:
        allowance = circuit.allow(
            guards[id_], now=now, in_flight=in_flight, wanted=min(wanted, limit), oldest=oldest
        )
        limit -= allowance.count
        found.append(allowance)
    return found


def _row(guard: Guard) -> dict[str, Any]:
    times = {
        "opened_at": guard.opened_at,
        "probe_at": guard.probe_at,
        "next_slot_at": guard.next_slot_at,
        "next_turn_at": guard.next_turn_at,
    }
    return {
        "id": str(guard.id),
        "probe_wait": guard.probe_wait,
        **{name: at.isoformat() if at else None for name, at in times.items()},
    }
