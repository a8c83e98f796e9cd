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

from governance.namespaces import gate
from orbit import queue
from orbit.dispatch import circuit, claim
from orbit.dispatch.circuit import Allowance, Guard
from orbit.dispatch.claim import Sending
from orbit.records import fence
from orbit.records.fence import ClaimedCycle, Fenced

OPEN = f"WITH {fence.LOCKED_CTE} SELECT {gate.OPEN_SQL.format(namespace='locked.namespace')} FROM locked"
GUARDS = """SELECT e.id, e.max_concurrency, e.rate_per_second, e.opened_at, e.probe_at, e.probe_wait, e.hold_until, e.next_slot_at, e.next_turn_at
FROM orbit_endpointstate e WHERE e.id IN (SELECT s.state_id FROM orbit_dispatchjob j JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
    WHERE j.cycle_id = %(cycle)s AND j.status = 'pending' AND j.next_attempt_at <= clock_timestamp())
ORDER BY e.id FOR NO KEY UPDATE OF e"""
# Waited for an open circuit for longer than a day, what was halted or paused of it not counted. Not while a probe is due: who was away that
# long itself looks first. The CASE keeps the history of stops out of it until a day is over.
_WAITED = "greatest(e.opened_at, j.next_attempt_at)"
_STOPPED = gate.STOPPED_SECONDS_SQL.format(
    namespace="(SELECT w.namespace FROM orbit_cyclerun w WHERE w.id = %(cycle)s)", start=_WAITED
)
GIVEN_UP = f"""e.opened_at IS NOT NULL AND e.probe_at > clock_timestamp()
    AND CASE WHEN {_WAITED} < clock_timestamp() - {circuit.DOWN_SECONDS} * interval '1 second'
        THEN {_WAITED} < clock_timestamp() - ({circuit.DOWN_SECONDS} + {_STOPPED}) * interval '1 second' ELSE false END"""
# In flight are few: no more than there are senders. A receipt that is older than any request can be is one of a worker that died, in a
# namespace where nobody may resume: it counts no more, or a halt there would hold the receiver's cap against all others.
COUNTS = f"""SELECT e.id, clock_timestamp(), flying.number, (SELECT count(*) FROM orbit_dispatchjob j JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
        WHERE j.cycle_id = %(cycle)s AND s.state_id = e.id AND j.status = 'pending' AND j.next_attempt_at <= clock_timestamp() AND NOT ({GIVEN_UP})),
    flying.oldest
FROM orbit_endpointstate e, LATERAL (
    SELECT count(*) AS number, coalesce(extract(epoch FROM clock_timestamp() - min(r.started_at)), 0)::float8 AS oldest
    FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
    WHERE r.status = 'sending' AND r.started_at > clock_timestamp() - {circuit.LONGEST_SECONDS} * interval '1 second'
        AND s.state_id = e.id AND e.max_concurrency IS NOT NULL) AS flying
WHERE e.id = ANY(%(states)s::uuid[]) ORDER BY e.id"""
EXPIRED = f"""SELECT j.id, j.attempts, j.spent, j.max_retries, j.delivery_id, j.endpoint_key, e.id
FROM orbit_dispatchjob j JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id JOIN orbit_endpointstate e ON e.id = s.state_id
WHERE j.cycle_id = %(cycle)s AND j.status = 'pending' AND e.id = ANY(%(states)s::uuid[]) AND {GIVEN_UP} ORDER BY j.id LIMIT 1000"""
CLAIM = f"""WITH {fence.LOCKED_CTE},
ranked AS MATERIALIZED (
    SELECT j.id, x.most, row_number() OVER (PARTITION BY s.state_id ORDER BY j.next_attempt_at, j.id) AS rank
    FROM orbit_dispatchjob j JOIN locked ON locked.id = j.cycle_id JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
    JOIN json_to_recordset(%(allowed)s::json) AS x(state_id uuid, most int) ON x.state_id = s.state_id
    WHERE j.status = 'pending' AND j.next_attempt_at <= clock_timestamp()),
due AS MATERIALIZED (
    SELECT j.id FROM orbit_dispatchjob j JOIN ranked r ON r.id = j.id WHERE r.rank <= r.most AND j.status = 'pending' FOR NO KEY UPDATE OF j),
guards AS (
    UPDATE orbit_endpointstate e SET opened_at = x.opened_at, probe_at = x.probe_at, probe_wait = x.probe_wait,
        next_slot_at = x.next_slot_at, next_turn_at = x.next_turn_at
    FROM json_to_recordset(%(guards)s::json)
        AS x(id uuid, opened_at timestamptz, probe_at timestamptz, probe_wait float8, next_slot_at timestamptz, next_turn_at timestamptz)
    WHERE e.id = x.id),
{claim.taken()}"""

# In rounds, each a transaction. Who holds a cycle may have looked a moment before the circuit closed, and be about to give it back for minutes:
# raised ``requeues`` tell it that there is more to do.
WAKE = """UPDATE orbit_cyclerun c SET next_due_at = CASE WHEN c.lease_owner IS NULL THEN clock_timestamp() ELSE c.next_due_at END,
    requeues = c.requeues + (c.lease_owner IS NOT NULL)::int WHERE c.id IN (
    SELECT w.id FROM orbit_cyclerun w WHERE w.next_due_at > now()
        AND EXISTS (SELECT 1 FROM orbit_dispatchjob j JOIN orbit_endpointsnapshot s ON s.id = j.snapshot_id
            WHERE j.cycle_id = w.id AND j.status = 'pending' AND j.next_attempt_at <= clock_timestamp() AND s.state_id = %(state)s)
    ORDER BY w.next_due_at LIMIT %(most)s FOR NO KEY UPDATE OF w SKIP LOCKED) RETURNING c.id"""
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
        rows = fence.run(OPEN, {"ids": [work.id], "tokens": [work.token]})
        if not rows:
            raise Fenced
        if not rows[0][0]:
            return Taken()
        guards = {row[0]: Guard(*row) for row in fence.run(GUARDS, {"cycle": work.id})}
        known = {"cycle": work.id, "states": list(guards)}
        counts = fence.run(COUNTS, known)
        if not counts:
            return Taken()
        allowed = _allow(guards, [row for row in counts if row[0] not in full], limit)
        expired = [Sending(work.id, None, job, attempt, spent, retries, delivery, key, None, state_id=state)
                   for job, attempt, spent, retries, delivery, key, state in fence.run(EXPIRED, known)]  # fmt: skip
        rows = fence.run(CLAIM, {
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
            found = len(fence.run(WAKE, {"state": state_id, "most": ROUND}))
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
