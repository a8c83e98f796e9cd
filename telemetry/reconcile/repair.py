"""Repair the differences that ``compare`` has listed, in batches.

Each is a compare-and-set: a task that got an event since it was compared is left to that event.
"""

from dataclasses import dataclass

from telemetry import database
from telemetry.consumers import projection
from telemetry.consumers.projection import AUTHORITY_RANK
from telemetry.reconcile.compare import Kind

#: Rows of a batch. Ingest of the same tasks waits for it.
BATCH = 10_000

INSERT = database.load(__name__, "insert_missing", authority_rank=AUTHORITY_RANK)
CORRECT = database.load(__name__, "correct", authority_rank=AUTHORITY_RANK)
DELETE_FORGOTTEN = database.load(__name__, "delete_forgotten")


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of some tasks of a kind; None: those that the authority has forgotten."""

    kind: Kind | None
    taken: int
    changed: int


def repair() -> Batch | None:
    """Repair the next batch; None if no difference is left."""
    for kind in (*Kind, None):
        with projection.updating():
            if kind is None:
                row = DELETE_FORGOTTEN.one(limit=BATCH)
            elif kind is Kind.MISSING_IN_PROJECTION:
                row = INSERT.one(limit=BATCH)
            else:
                row = CORRECT.one(kind=str(kind), limit=BATCH)
        taken, changed = row or (0, 0)
        if taken:
            return Batch(kind, taken, changed)
    return None
