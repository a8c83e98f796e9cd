"""Cycles that finished long ago are deleted, in bounded batches.

A batch is one short transaction. Checkpoints and records stay until their month goes (``months``),
audit entries and the value ledger for good.
"""

import json
from collections import Counter
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from psycopg.errors import ForeignKeyViolation

from governance.kernel import sql
from orbit.retention import exemptions, unused
from orbit.retention.batch import Batch, Preview

#: Cycles that a batch looks at. Re-runs of them come on top.
CYCLES = 200
#: Before everything.
START = ("-infinity", "00000000-0000-0000-0000-000000000000")
#: A cycle got a reference between the look and the end of the transaction.
REFERRED = "a row that refers to it was written meanwhile"

PRUNE_CYCLES = sql.load(
    __name__, "prune_cycles", chosen_cycles=sql.fragment(__name__, "chosen_cycles")
)
NEXT_OLD_CYCLE = sql.load(__name__, "next_old_cycle")


def prune_cycles(until: str, after: tuple[str, ...], preview: Preview | None = None) -> Batch:
    """Delete the next cycles that finished before ``until``; a ``preview`` rolls that back."""
    limit = CYCLES
    while True:
        try:
            return _prune_cycles(until, after, limit, preview)
        except IntegrityError as error:
            if not isinstance(error.__cause__, ForeignKeyViolation):
                raise
            # A row that refers to one of them was written meanwhile. One by one, only it is left.
            if limit == 1:
                return _skip(until, after)
            limit = 1


def _skip(until: str, after: tuple[str, ...]) -> Batch:
    row = NEXT_OLD_CYCLE.one(until=until, after_at=after[0], after_id=after[1])
    if row is None:
        return Batch(None)
    return Batch((row[0].isoformat(), str(row[1])), kept=Counter({REFERRED: 1}))


def _prune_cycles(until: str, after: tuple[str, ...], limit: int, preview: Preview | None) -> Batch:
    referred = exemptions.referred()
    with transaction.atomic():
        row = PRUNE_CYCLES.one(
            until=until,
            after_at=after[0],
            after_id=after[1],
            limit=limit,
            profiles=[each.profile_id for each in referred],
            namespaces=[each.namespace for each in referred],
            froms=[each.since for each in referred],
            tos=[each.until for each in referred],
        )
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        looked_at, at, id_, deleted, kept, first, last, cycles, hashes, *used = row
        uses = [_by_id(each) for each in used]
        counts = Counter(json.loads(deleted))
        if hashes:
            counts += _prune_unused(hashes, uses, cycles, preview)
        if preview:
            transaction.set_rollback(True)
        else:
            _check_references()
    end = looked_at < limit
    return Batch(
        None if end else (at.isoformat(), str(id_)), counts, Counter(json.loads(kept)), first, last
    )


def _prune_unused(
    hashes: list[str],
    uses: list[dict[UUID, int]],
    cycles: list[UUID],
    preview: Preview | None,
) -> Counter[str]:
    initiations, snapshots = uses
    gone = unused.delete(hashes=hashes, initiations=[*initiations], snapshots=[*snapshots])
    if preview:
        # Other batches, which are rolled back too, may have used the same.
        shared = {id_: number for each in uses for id_, number in each.items()}
        preview.note(cycles, {id_: n for id_, n in shared.items() if id_ not in gone.ids})
    return gone.counts


def _check_references() -> None:
    """Check the foreign keys now: a slice has several batches in its transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _by_id(text: Any) -> dict[UUID, int]:
    return {UUID(key): number for key, number in json.loads(text).items()}
