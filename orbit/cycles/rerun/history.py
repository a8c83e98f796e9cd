"""What a cycle's family has done: the cycle that it repeats, and all re-runs of that.

What one of them has done, none of them does again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from governance.kernel import sql

FAMILY = sql.load(__name__, "family")
SUCCESSFUL_TIERS = sql.load(__name__, "successful_tiers")
DELIVERIES = sql.load(__name__, "family_deliveries")
LOCK_JOBS = sql.load(__name__, "lock_undelivered_jobs")
LOCK_LETTERS = sql.load(__name__, "lock_open_letters")
IS_VALUED = sql.load(__name__, "is_valued")


@dataclass(frozen=True, slots=True)
class ReusableTier:
    """A tier that succeeded, with its output and item."""

    tier: int
    transformation_id: UUID
    cycle_id: UUID
    sha256: str
    item_id: UUID | None
    targets: Sequence[str] | None  # the item's endpoints; None: the default one


@dataclass(frozen=True, slots=True)
class DeadLetterRef:
    """The dead letter of a delivery's newest job."""

    id: UUID
    cycle_id: UUID
    status: str


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """One item to one endpoint, over all its jobs."""

    item_id: UUID
    tier: int
    endpoint_key: str
    job_id: UUID  # the newest
    delivery_id: UUID
    snapshot_id: UUID
    fingerprint: str
    delivered: bool
    open: bool  # one of its jobs is to be sent, or in flight
    letter: DeadLetterRef | None


@dataclass(frozen=True, slots=True)
class RerunHistory:
    """What the family of a cycle has done."""

    cycles: Sequence[UUID]
    tiers: dict[int, ReusableTier]
    deliveries: list[DeliveryHistory]
    valued: bool  # its value is metered


def family(cycle_id: UUID) -> list[UUID]:
    """Return the ids of the cycle's family."""
    return [id_ for (id_,) in FAMILY.rows(id=cycle_id)]


def read(cycle_id: UUID, *, lock: bool = False) -> RerunHistory:
    """Return the history; ``lock`` keeps its undelivered jobs and letters unchanged."""
    cycles = family(cycle_id)
    if lock:
        # In statements of their own: what is read below includes what was committed meanwhile.
        LOCK_JOBS.rows(family=cycles)
        LOCK_LETTERS.rows(family=cycles)
    tiers = {
        tier: ReusableTier(tier, id_, cycle, sha256, item, _endpoint_keys(targets))
        for tier, id_, cycle, sha256, item, targets in SUCCESSFUL_TIERS.rows(family=cycles)
    }
    deliveries = [
        DeliveryHistory(*(*row[:9], DeadLetterRef(*row[9:]) if row[9] else None))
        for row in DELIVERIES.rows(family=cycles)
    ]
    ((valued,),) = IS_VALUED.rows(family=cycles)
    return RerunHistory(cycles, tiers, deliveries, bool(valued))


def _endpoint_keys(targets: object) -> Sequence[str] | None:
    # Django's connection returns JSON as text.
    keys = json.loads(targets) if isinstance(targets, str) else targets
    return keys if isinstance(keys, list) else None
