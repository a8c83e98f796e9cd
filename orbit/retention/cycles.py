"""Cycles and ticks that finished long ago are deleted, in bounded batches.

A batch is one short transaction. Checkpoints and records stay until their month goes (``months``),
audit entries and the value ledger for good.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction

from governance.kernel import sql
from orbit.retention import exemptions

#: Cycles that a batch looks at. Re-runs of them come on top.
CYCLES = 200
TICKS = 2000
#: Before everything.
START = ("-infinity", "00000000-0000-0000-0000-000000000000")
#: A cycle got a reference between the look and the end of the transaction.
REFERRED = "a row that refers to it was written meanwhile"

PRUNE_CYCLES = sql.load(
    __name__, "prune_cycles", chosen_cycles=sql.fragment(__name__, "chosen_cycles")
)
NEXT_OLD_CYCLE = sql.load(__name__, "next_old_cycle")
LOCK_UNUSED = sql.load(__name__, "lock_unused")
PRUNE_UNUSED = sql.load(__name__, "prune_unused")
PRUNE_TICKS = sql.load(__name__, "prune_ticks")
PRUNE_NOTICES = sql.load(__name__, "prune_notices")


@dataclass(slots=True)
class Batch:
    """What a batch came to. ``after`` is where the next one begins, None at the end."""

    after: tuple[str, ...] | None
    deleted: Counter[str] = field(default_factory=Counter)
    #: How many were kept, by reason.
    kept: Counter[str] = field(default_factory=Counter)
    #: The earliest and the latest finish of what was deleted.
    first: datetime | None = None
    last: datetime | None = None


def prune_cycles(until: str, after: tuple[str, ...], *, dry_run: bool) -> Batch:
    """Delete the next cycles that finished before ``until``; a dry run rolls that back."""
    limit = CYCLES
    while True:
        try:
            return _prune_cycles(until, after, limit, dry_run)
        except IntegrityError:
            # A row that refers to one of them was written meanwhile. One by one, only it is left.
            if limit == 1:
                return _skip(until, after)
            limit = 1


def _skip(until: str, after: tuple[str, ...]) -> Batch:
    row = NEXT_OLD_CYCLE.one(until=until, after_at=after[0], after_id=after[1])
    if row is None:
        return Batch(None)
    return Batch((row[0].isoformat(), str(row[1])), kept=Counter({REFERRED: 1}))


def _prune_cycles(until: str, after: tuple[str, ...], limit: int, dry_run: bool) -> Batch:
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
        looked_at, at, id_, deleted, kept, first, last, hashes, snapshots = _read(row)
        counts = Counter(json.loads(deleted))
        if hashes:
            counts += _prune_unused(hashes, snapshots)
        if dry_run:
            transaction.set_rollback(True)
        else:
            _check_references()
    end = looked_at < limit
    return Batch(
        None if end else (at.isoformat(), str(id_)), counts, Counter(json.loads(kept)), first, last
    )


def _check_references() -> None:
    """Check the foreign keys now: a slice has several batches in its transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _prune_unused(hashes: list[str], snapshots: list[Any]) -> Counter[str]:
    initiations, locked = LOCK_UNUSED.one(hashes=hashes, snapshots=snapshots) or ([], [])
    row = PRUNE_UNUSED.one(initiations=initiations, snapshots=locked) or (0, 0)
    return Counter(initiations=row[0], endpoint_snapshots=row[1])


def prune_ticks(until: str, after: tuple[str, ...], *, dry_run: bool) -> Batch:
    """Delete the next ticks that were decided before ``until``."""
    with transaction.atomic():
        row = PRUNE_TICKS.one(until=until, after_at=after[0], after_id=after[1], limit=TICKS)
        looked_at, at, id_, gone, first, last = _read(row)
        if dry_run:
            transaction.set_rollback(True)
    after_this = None if looked_at < TICKS else (at.isoformat(), str(id_))
    kept = Counter({"it is the last of its schedule": looked_at - gone})
    return Batch(after_this, Counter(cron_ticks=gone), +kept, first, last)


def prune_notices(until: str, *, dry_run: bool) -> Batch:
    """Delete the notices of skipped triggers that are older than ``until``."""
    with transaction.atomic():
        gone = PRUNE_NOTICES.execute(until=until, limit=TICKS)
        if dry_run:
            transaction.set_rollback(True)
    return Batch(None, Counter(skip_notices=gone))


def _read(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return row
