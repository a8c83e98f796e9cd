"""What a cycle and its re-runs have together: which tiers succeeded, which items they became, and where each delivery stands.

A cycle, the one that it repeats, and all that were made of either are one family, whichever of them is asked about. What one of them
has done, none of them does again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

FAMILY = """WITH RECURSIVE up AS (
    SELECT c.id, c.rerun_of FROM orbit_cyclerun c WHERE c.id = %(id)s
    UNION ALL SELECT c.id, c.rerun_of FROM up JOIN orbit_cyclerun c ON c.id = up.rerun_of),
family AS (SELECT id FROM up WHERE rerun_of IS NULL UNION ALL SELECT c.id FROM family JOIN orbit_cyclerun c ON c.rerun_of = family.id)
SELECT id FROM family ORDER BY id"""
# An item may have been made of the tier itself or, where its cycle came to no normalization, by a re-run that took it over.
TIERS = """SELECT DISTINCT ON (t.tier) t.tier, t.id, t.cycle_id, t.output_sha256, i.id, i.targets
FROM orbit_transformation t LEFT JOIN LATERAL (
    SELECT i.id, c.context -> 'distribution_targets' AS targets FROM orbit_transformation s
    JOIN orbit_normalizationitem i ON i.transformation_id = s.id JOIN orbit_cyclerun c ON c.id = s.cycle_id
    WHERE s.cycle_id = ANY(%(family)s) AND s.tier = t.tier AND (s.id = t.id OR s.taken_from = t.id) ORDER BY i.id LIMIT 1) AS i ON true
WHERE t.cycle_id = ANY(%(family)s) AND t.status = 'success' AND t.taken_from IS NULL ORDER BY t.tier, t.id"""
# Of each item and endpoint the newest job, of which no copy was made yet, and what became of all of them together.
DELIVERIES = """WITH newest AS (
    SELECT DISTINCT ON (j.normalization_item_id, j.endpoint_key) j.normalization_item_id, j.endpoint_key, j.id, j.delivery_id, j.snapshot_id,
        bool_or(j.status = 'delivered') OVER pair AS delivered, bool_or(j.status IN ('pending', 'sending')) OVER pair AS open
    FROM orbit_dispatchjob j WHERE j.cycle_id = ANY(%(family)s) WINDOW pair AS (PARTITION BY j.normalization_item_id, j.endpoint_key)
    ORDER BY j.normalization_item_id, j.endpoint_key, EXISTS (SELECT 1 FROM orbit_dispatchjob c WHERE c.requeue_of_id = j.id), j.id DESC)
SELECT n.normalization_item_id, t.tier, n.endpoint_key, n.id, n.delivery_id, n.snapshot_id, s.fingerprint, n.delivered, n.open, l.id, l.cycle_id, l.status
FROM newest n JOIN orbit_normalizationitem i ON i.id = n.normalization_item_id JOIN orbit_transformation t ON t.id = i.transformation_id
JOIN orbit_endpointsnapshot s ON s.id = n.snapshot_id LEFT JOIN orbit_deadletterdispatch l ON l.job_id = n.id ORDER BY t.tier, n.endpoint_key, n.id"""
# Held until the re-run commits, jobs before letters as everywhere: a success that a lost worker brings for one of these waits, and then finds
# the copy that was made of it.
HOLD_JOBS = """SELECT j.id FROM orbit_dispatchjob j WHERE j.cycle_id = ANY(%(family)s) AND j.status IN ('dead', 'cancelled') ORDER BY j.id FOR NO KEY UPDATE"""
# Likewise: a person or a run that requeues one of these waits, and then reads that it was requeued.
HOLD_LETTERS = """SELECT l.id FROM orbit_deadletterdispatch l WHERE l.cycle_id = ANY(%(family)s) AND l.status = 'open' ORDER BY l.id FOR NO KEY UPDATE"""
VALUED = "SELECT EXISTS (SELECT 1 FROM orbit_valueledgerentry v WHERE v.cycle_id = ANY(%(family)s) AND v.kind = 'value')"


@dataclass(frozen=True, slots=True)
class ReusedTier:
    """A tier that succeeded: where its output stands, and the item that it became, with the endpoints that this was to go to; None: not named."""

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
class Delivery:
    """One item to one endpoint, over all its jobs: ``job_id`` is the newest; ``open`` means that one is still to be sent, or on its way."""

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
class History:
    """What the family of a cycle has: by tier what succeeded, its deliveries, and whether its value is in the ledger."""

    cycles: Sequence[UUID]
    done: dict[int, ReusedTier]
    deliveries: list[Delivery]
    valued: bool


def family(cycle_id: UUID) -> list[UUID]:
    """Return the ids of the cycle, of those that it repeats, and of those that repeat any of them."""
    with connection.cursor() as cursor:
        cursor.execute(FAMILY, {"id": cycle_id})
        return [row[0] for row in cursor.fetchall()]


def read(cycle_id: UUID, *, hold: bool = False) -> History:
    """Return what the family of ``cycle_id`` has; with ``hold`` what ended undelivered, and its letters, stay as they are until the transaction ends."""
    cycles = family(cycle_id)
    with connection.cursor() as cursor:
        if hold:
            cursor.execute(HOLD_JOBS, {"family": cycles})
            cursor.execute(HOLD_LETTERS, {"family": cycles})
        # Each in a statement after the lock: what was committed while it was waited for is seen.
        cursor.execute(TIERS, {"family": cycles})
        done = {
            tier: ReusedTier(tier, id_, cycle, sha256, item, _names(targets))
            for tier, id_, cycle, sha256, item, targets in cursor.fetchall()
        }
        cursor.execute(DELIVERIES, {"family": cycles})
        deliveries = [
            Delivery(*(*row[:9], DeadLetterRef(*row[9:]) if row[9] else None))
            for row in cursor.fetchall()
        ]
        cursor.execute(VALUED, {"family": cycles})
        return History(cycles, done, deliveries, bool(cursor.fetchone()[0]))


def _names(targets: object) -> Sequence[str] | None:
    """Return the endpoints that a context names; Django's connection hands JSON over as text."""
    found = json.loads(targets) if isinstance(targets, str) else targets
    return found if isinstance(found, list) else None
