"""What a cycle and its re-runs have done together: tiers, items, deliveries.

A cycle, the one that it repeats, and all re-runs of either are one family. What one of them has
done, none of them does again.
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
    """A tier that succeeded: its output, the item that it became if any, and the item's endpoints.

    ``targets`` is None if the context names none: then the default endpoint is meant.
    """

    tier: int
    transformation_id: UUID
    cycle_id: UUID
    sha256: str
    item_id: UUID | None
    targets: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class DeadLetterRef:
    """The dead letter of a delivery's newest job."""

    id: UUID
    cycle_id: UUID
    status: str


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """One item to one endpoint, over all its jobs. ``job_id`` is the newest.

    ``open`` if one of them is still to be sent, or in flight.
    """

    item_id: UUID
    tier: int
    endpoint_key: str
    job_id: UUID
    delivery_id: UUID
    snapshot_id: UUID
    fingerprint: str
    delivered: bool
    open: bool
    letter: DeadLetterRef | None


@dataclass(frozen=True, slots=True)
class RerunHistory:
    """What the family of a cycle has done; ``valued`` if its value is metered."""

    cycles: Sequence[UUID]
    tiers: dict[int, ReusableTier]
    deliveries: list[DeliveryHistory]
    valued: bool


def family(cycle_id: UUID) -> list[UUID]:
    """Return the ids of the cycle, of those that it repeats, and of all their re-runs."""
    return [id_ for (id_,) in FAMILY.rows(id=cycle_id)]


def read(cycle_id: UUID, *, lock: bool = False) -> RerunHistory:
    """Return what the family of ``cycle_id`` has done.

    With ``lock``, undelivered jobs and their letters stay as they are until the transaction ends.
    """
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
