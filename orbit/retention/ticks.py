"""Cron ticks, and notices of skipped triggers, from long ago."""

from collections import Counter

from django.db import transaction

from governance.kernel import sql
from orbit.retention.batch import Batch, Preview

LIMIT = 2000
#: Before every namespace.
START_OF_NOTICES = ("",)

PRUNE_TICKS = sql.load(__name__, "prune_ticks")
PRUNE_NOTICES = sql.load(__name__, "prune_notices")


def prune_ticks(until: str, after: tuple[str, ...], preview: Preview | None = None) -> Batch:
    """Delete the next ticks that were decided before ``until``."""
    with transaction.atomic():
        row = PRUNE_TICKS.one(until=until, after_at=after[0], after_id=after[1], limit=LIMIT)
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        looked_at, at, id_, gone, first, last = row
        if preview:
            transaction.set_rollback(True)
    following = None if looked_at < LIMIT else (at.isoformat(), str(id_))
    kept = Counter({"it is the last of its schedule": looked_at - gone})
    return Batch(following, Counter(cron_ticks=gone), +kept, first, last)


def prune_notices(until: str, after: tuple[str, ...], preview: Preview | None = None) -> Batch:
    """Delete the next notices of skipped triggers that are older than ``until``."""
    with transaction.atomic():
        gone, last = PRUNE_NOTICES.one(until=until, after=after[0], limit=LIMIT) or (0, None)
        if preview:
            transaction.set_rollback(True)
    return Batch(None if gone < LIMIT else (last,), Counter(skip_notices=gone))
