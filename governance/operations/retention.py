"""Old operation runs and their items: deleted in bounded batches, by the order of their ids."""

from datetime import datetime, timedelta

from governance.kernel import clock, sql
from governance.kernel.identifiers import uuid7_floor

_OLD_RUNS = sql.fragment(__name__, "old_runs")
DELETE_ITEMS = sql.load(__name__, "delete_old_items", old_runs=_OLD_RUNS)
DELETE_RUNS = sql.load(__name__, "delete_old_runs", old_runs=_OLD_RUNS)
COUNT_OLD = sql.load(__name__, "count_old_runs", old_runs=_OLD_RUNS)

#: An id has the time of its run's creation by the process that made it, whose clock may be wrong.
_TOLERATED = timedelta(days=1)


def delete_old(days: int, *, limit: int = 1_000) -> int:
    """Delete at most ``limit`` items, then ``limit`` runs, that ended more than ``days`` days ago.

    Returns how many rows; 0 if nothing is left. The last run of each periodic work stays.
    """
    values = {"days": days, "before": uuid7_floor(_edge(days)), "most": limit}
    return DELETE_ITEMS.execute(**values) + DELETE_RUNS.execute(**values)


def count_old(days: int, *, most: int = 10_000) -> int:
    """Return how many runs ``delete_old`` would delete; counts up to ``most``."""
    row = COUNT_OLD.one(days=days, before=uuid7_floor(_edge(days)), most=most)
    return int(row[0]) if row else 0


def _edge(days: int) -> datetime:
    # A run begins before it ends, so older ids than this are enough.
    return clock.now() - timedelta(days=days) + _TOLERATED
