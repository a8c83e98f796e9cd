"""Days of events: a UTC day is stored, archived or dropped as a whole.

Lock order: days in ascending order, before any other lock of telemetry. The locks end with the
transaction. A writer of events shares their days; archive, drop and replay own the day.
"""

from collections.abc import Iterable
from datetime import date

from telemetry import database

SHARE = database.load(__name__, "share_days")
OWN = database.load(__name__, "own_day")
CLOSED = database.load(__name__, "closed_days")
REOPEN = database.load(__name__, "reopen_days")


def share(days: Iterable[date]) -> set[date]:
    """Lock ``days`` against drop and replay; return those that were dropped.

    A day that is being archived is archived again: it gets more events.
    """
    ordered = sorted(set(days))
    SHARE.rows(days=ordered)
    # A statement of its own: its snapshot must be taken after the locks.
    closed = dict(CLOSED.rows(days=ordered))
    if archiving := [day for day, dropped in closed.items() if not dropped]:
        REOPEN.execute(days=archiving)
    return {day for day, dropped in closed.items() if dropped}


def own(day: date) -> None:
    """Wait until no other transaction adds events of ``day``, and keep others out."""
    OWN.rows(day=day)


def keep(day: date) -> None:
    """Keep ``day`` from being dropped, archived or replayed, for one who only reads it."""
    SHARE.rows(days=[day])
