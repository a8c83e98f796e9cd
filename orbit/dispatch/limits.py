"""The limits of one endpoint: its caps, its circuit breaker, and a pause that it asked for.

All processes share them in the endpoint's row.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from governance.kernel import sql
from governance.kernel.identifiers import uuid7_text

# A circuit opens after this many failures in a row, from at least two jobs. The first answer below
# 500 closes it.
FAILURES_TO_OPEN = 10
# A probe goes after 30 s, then after 60, 120, 240 s, and then every 300 s.
FIRST_PROBE_SECONDS, LAST_PROBE_SECONDS = 30.0, 300.0
#: A job is given up after it has waited this long for an open circuit.
DOWN_SECONDS = 86400.0
#: No attempt takes longer: an inquiry and a request of at most 120 s each, and some grace.
LONGEST_SECONDS = 300.0
# The share of a second's rate that may go at once.
BURST = 0.1
# Cycles that wait for one endpoint come back this far apart.
SPACING = timedelta(seconds=0.02)
# With ``max_concurrency`` they come back as fast as places become free, estimated from the age of
# the oldest request, within these bounds (seconds).
SHORTEST_TURN, LONGEST_TURN = 0.005, 2.0

#: A CTE of fenced statements; ``rows`` makes the rows of its parameter ``circuits``. It counts a
#: failure in the statement that closes the attempt, so a crash counts none twice.
UPDATE_CIRCUITS = sql.fragment(
    __name__,
    "update_circuits",
    failures_to_open=FAILURES_TO_OPEN,
    first_probe_seconds=FIRST_PROBE_SECONDS,
)


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """An endpoint's row, as far as a claim reads it."""

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
    """How many deliveries may go, and when to ask again."""

    count: int
    #: The row after them.
    limits: EndpointLimits
    again_at: datetime | None = None


# The row                                 Of 20 jobs that are due
# no limit                                20 go
# max_concurrency 8, 5 in flight          3 go
# rate_per_second 10                      1 goes, the next one 0.1 s later
# rate_per_second 100                     10 go at once: a tenth of a second's rate
# pause asked for (429, Retry-After)      none go until it is over
# circuit open, no probe due              none go until the next probe
# circuit open, probe due                 1 goes: the probe
def allow(
    limits: EndpointLimits, *, now: datetime, in_flight: int, due: int, oldest: float = 0.0
) -> Allowance:
    """Return how many of ``due`` deliveries may go at ``now``.

    ``in_flight`` are on their way; the oldest is ``oldest`` seconds old.
    """
    if limits.opened_at is not None:
        return _probe(limits, now, due)
    if limits.hold_until is not None and limits.hold_until > now:
        return _take_turn(limits, 0, limits.hold_until, due)
    # The smallest cap counts.
    count, spacing = due, SPACING
    if limits.max_concurrency is not None:
        count = max(0, min(due, limits.max_concurrency - in_flight))
        spacing = timedelta(
            seconds=min(LONGEST_TURN, max(SHORTEST_TURN, oldest / limits.max_concurrency / 2))
        )
    free_at = now + spacing
    if limits.rate_per_second is not None and count:
        count, free_at, limits = _take_slots(limits, limits.rate_per_second, now, count)
    return _take_turn(limits, count, free_at, due, spacing)


def _probe(limits: EndpointLimits, now: datetime, due: int) -> Allowance:
    assert limits.opened_at is not None  # noqa: S101 - the caller's condition
    assert limits.probe_at is not None  # noqa: S101 - the table's own CHECK
    assert limits.probe_wait is not None  # noqa: S101
    if limits.probe_at > now or not due:
        return _take_turn(limits, 0, limits.probe_at, due)
    wait = min(limits.probe_wait * 2, LAST_PROBE_SECONDS)
    late = now - limits.probe_at
    # Nothing probed in this time because Orbit was off. The endpoint wasn't down in it, so it
    # doesn't count towards giving jobs up.
    is_own_fault = late.total_seconds() > LAST_PROBE_SECONDS
    opened_at = limits.opened_at + late if is_own_fault else limits.opened_at
    probe_at = now + timedelta(seconds=wait)
    probed = replace(limits, opened_at=opened_at, probe_at=probe_at, probe_wait=wait)
    return _take_turn(probed, 1, probe_at, due)


def _take_slots(
    limits: EndpointLimits, rate: float, now: datetime, due: int
) -> tuple[int, datetime, EndpointLimits]:
    """Return how many may go, when the next may, and the row."""
    # The generic cell rate algorithm (ITU-T I.371).
    interval = 1 / rate
    tolerance = (max(1.0, rate * BURST) - 1) * interval
    start = max(limits.next_slot_at or now, now)
    ahead = (start - now).total_seconds()
    # The billionth makes up for rounding: a quotient may be just below its whole number.
    count = min(due, int((tolerance - ahead) / interval + 1e-9) + 1) if ahead <= tolerance else 0
    after = start + timedelta(seconds=count * interval)
    return count, after - timedelta(seconds=tolerance), replace(limits, next_slot_at=after)


def _take_turn(
    limits: EndpointLimits, count: int, free_at: datetime, due: int, spacing: timedelta = SPACING
) -> Allowance:
    """Stagger the waiters: thousands must not come back at once."""
    if count >= due:
        return Allowance(count, limits)
    if limits.rate_per_second:
        spacing = max(spacing, timedelta(seconds=1 / limits.rate_per_second))
    turn = max(free_at, (limits.next_turn_at + spacing) if limits.next_turn_at else free_at)
    return Allowance(count, replace(limits, next_turn_at=turn), turn)


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
class EndpointObservation:
    """What one attempt says about its endpoint."""

    state_id: UUID
    job_id: UUID
    up: bool
    error: str
    #: The pause that the endpoint asked for, in seconds.
    hold: float | None = None


def rows(observations: Iterable[EndpointObservation], *, cycle_id: UUID) -> list[dict[str, Any]]:
    """Return the rows for ``UPDATE_CIRCUITS``, one for each endpoint."""
    by_endpoint: dict[UUID, dict[str, Any]] = {}
    for observation in observations:
        row = by_endpoint.get(observation.state_id)
        if row is None:
            row = by_endpoint[observation.state_id] = {
                "state_id": observation.state_id,
                "cycle_id": cycle_id,
                "up": False,
                "failed": 0,
                "job_id": None,
                "several": False,
                "error": "",
                "hold": None,
                "record_id": uuid7_text(),
            }
        # One answer of several attempts shows that the endpoint is up.
        row["up"] = row["up"] or observation.up
        if not observation.up:
            row["failed"] += 1
            row["error"] = observation.error
            row["several"] = row["several"] or row["job_id"] not in (None, observation.job_id)
            row["job_id"] = row["job_id"] or observation.job_id
        if observation.hold is not None:
            row["hold"] = max(row["hold"] or 0.0, observation.hold)
    return list(by_endpoint.values())
