"""Deliveries of cycles by outcome."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from governance.kernel import sql
from orbit.states import Job

COUNT_DELIVERIES = sql.load(__name__, "count_deliveries")


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Deliveries by outcome. A requeued copy counts for its original."""

    total: int = 0
    delivered: int = 0
    dead: int = 0
    cancelled: int = 0
    open: int = 0


def of(cycle_ids: Collection[UUID]) -> dict[UUID, DeliveryCounts]:
    """Return the counts of each cycle; of cycles without deliveries too. One query."""
    by_cycle: dict[UUID, dict[str, int]] = {cycle_id: {} for cycle_id in cycle_ids}
    for cycle_id, _, status, number in COUNT_DELIVERIES.rows(cycles=list(cycle_ids)):
        counts = by_cycle[cycle_id]
        counts[status] = counts.get(status, 0) + number
    return {cycle_id: _counts(counts) for cycle_id, counts in by_cycle.items()}


def _counts(counts: dict[str, int]) -> DeliveryCounts:
    total = sum(counts.values())
    delivered, dead, cancelled = (
        counts.get(str(status), 0) for status in (Job.DELIVERED, Job.DEAD, Job.CANCELLED)
    )
    return DeliveryCounts(total, delivered, dead, cancelled, total - delivered - dead - cancelled)
