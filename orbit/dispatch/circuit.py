"""One receiver's caps and its circuit breaker, shared by all processes through its row.

Pure here: how many deliveries may go now, from the row as a claim has locked it; and the part of a closing write that counts failures in
a row. A circuit opens after ten of them from at least two jobs; then one probe goes out after 30 s, 60 s, 120 s .. 300 s, and the first
answer below 500 closes it. After a crash in between, the row says what was committed: at worst a failure isn't counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from governance.kernel import sql

FAILURES_TO_OPEN = 10
FIRST_PROBE_SECONDS, LAST_PROBE_SECONDS = 30.0, 300.0
#: How long a job waits for an open circuit before it is given up.
DOWN_SECONDS = 86400.0
#: No attempt takes longer: an inquiry and a request of at most 120 s each, and the grace after them.
LONGEST_SECONDS = 300.0
# The share of a second's rate that may go at once.
BURST = 0.1
# Those in line for a receiver come back this far apart, however many they are. In line for a free place of a cap: as far apart as places come
# free, told by how long the oldest delivery is under way; between these bounds (seconds).
SPACING = timedelta(seconds=0.02)
SHORTEST_TURN, LONGEST_TURN = 0.005, 2.0

#: A CTE of fenced statements; ``rows`` makes the rows of its parameter ``circuits``.
UPDATE_CIRCUITS = sql.fragment(
    __name__,
    "update_circuits",
    failures_to_open=FAILURES_TO_OPEN,
    first_probe_seconds=FIRST_PROBE_SECONDS,
)


@dataclass(frozen=True, slots=True)
class Guard:
    """The row of a receiver, as far as a claim reads it."""

    id: UUID
    max_concurrency: int | None
    rate_per_second: float | None
    opened_at: datetime | None
    probe_at: datetime | None
    probe_wait: float | None
    hold_until: datetime | None
    next_slot_at: datetime | None
    next_turn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many deliveries may go now, the row as it is after them, and when to come back for what may not."""

    count: int
    guard: Guard
    again_at: datetime | None = None


def allow(
    guard: Guard, *, now: datetime, in_flight: int, wanted: int, oldest: float = 0.0
) -> Allowance:
    """Return how many of ``wanted`` deliveries may go to the receiver at ``now``, of which ``in_flight`` are on their way already.

    ``oldest`` is for how many seconds the oldest of those is.

    An open circuit lets one probe through when it is due; time in which nobody looked whether one is, such as while Orbit was off, isn't
    time in which the receiver was down. Else the smallest of the caps counts. The rate is kept by the generic cell rate
    algorithm (ITU-T I.371), with a burst of a tenth of a second.
    """
    if guard.opened_at is not None:
        assert guard.probe_at is not None  # noqa: S101 - the table's own CHECK
        assert guard.probe_wait is not None  # noqa: S101
        if guard.probe_at > now or not wanted:
            return _line_up(guard, 0, guard.probe_at, wanted)
        wait = min(guard.probe_wait * 2, LAST_PROBE_SECONDS)
        late = now - guard.probe_at
        opened_at = (
            guard.opened_at + late if late.total_seconds() > LAST_PROBE_SECONDS else guard.opened_at
        )
        probed = replace(
            guard, opened_at=opened_at, probe_at=now + timedelta(seconds=wait), probe_wait=wait
        )
        return _line_up(probed, 1, probed.probe_at or now, wanted)
    if guard.hold_until is not None and guard.hold_until > now:
        return _line_up(guard, 0, guard.hold_until, wanted)
    count, spacing = wanted, SPACING
    if guard.max_concurrency is not None:
        count = max(0, min(wanted, guard.max_concurrency - in_flight))
        spacing = timedelta(
            seconds=min(LONGEST_TURN, max(SHORTEST_TURN, oldest / guard.max_concurrency / 2))
        )
    free_at = now + spacing
    if guard.rate_per_second is not None and count:
        count, free_at, guard = _slots(guard, guard.rate_per_second, now, count)
    return _line_up(guard, count, free_at, wanted, spacing)


def _slots(guard: Guard, rate: float, now: datetime, wanted: int) -> tuple[int, datetime, Guard]:
    interval = 1 / rate
    tolerance = (max(1.0, rate * BURST) - 1) * interval
    start = max(guard.next_slot_at or now, now)
    ahead = (start - now).total_seconds()
    # A billionth is added since the quotient of two times may come out a hair below the whole number that it is.
    count = min(wanted, int((tolerance - ahead) / interval + 1e-9) + 1) if ahead <= tolerance else 0
    after = start + timedelta(seconds=count * interval)
    return count, after - timedelta(seconds=tolerance), replace(guard, next_slot_at=after)


def _line_up(
    guard: Guard, count: int, free_at: datetime, wanted: int, spacing: timedelta = SPACING
) -> Allowance:
    """Give who wants more a turn of its own behind those that wait already: a line of thousands doesn't come back all at once."""
    if count >= wanted:
        return Allowance(count, guard)
    if guard.rate_per_second:
        spacing = max(spacing, timedelta(seconds=1 / guard.rate_per_second))
    turn = max(free_at, (guard.next_turn_at + spacing) if guard.next_turn_at else free_at)
    return Allowance(count, replace(guard, next_turn_at=turn), turn)


@dataclass(frozen=True, slots=True)
class Sign:
    """What one attempt says about its receiver. ``hold`` is for how many seconds it asked to be left alone."""

    state_id: UUID
    job_id: UUID
    up: bool
    error: str
    hold: float | None = None


def rows(
    signs: Sequence[Sign], *, cycle_id: UUID, record_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows of ``circuits`` for ``UPDATE_CIRCUITS``: one for each receiver. A receiver that answered one of them is up."""
    found: dict[UUID, dict[str, Any]] = {}
    for sign in signs:
        row = found.setdefault(sign.state_id, {
            "state_id": str(sign.state_id), "cycle_id": str(cycle_id), "up": False, "failed": 0, "job_id": None, "several": False, "error": "", "hold": None,
            "record_id": record_ids[len(found)],
        })  # fmt: skip
        row["up"] = row["up"] or sign.up
        if not sign.up:
            row["failed"] += 1
            row["error"] = sign.error
            row["several"] = row["several"] or row["job_id"] not in (None, str(sign.job_id))
            row["job_id"] = row["job_id"] or str(sign.job_id)
        if sign.hold is not None:
            row["hold"] = max(row["hold"] or 0.0, sign.hold)
    return list(found.values())
