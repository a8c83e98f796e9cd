"""Days of events: a UTC day is stored, archived or dropped as a whole.

Lock order: days in ascending order, before any other lock of telemetry. The locks end with the
transaction. Whoever adds events of a day shares it; whoever archives, drops or replays it owns it.
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
    wanted = sorted(set(days))
    SHARE.rows(days=wanted)
    # A statement of its own: its snapshot must be taken after the locks.
    known = dict(CLOSED.rows(days=wanted))
    if archiving := [day for day, dropped in known.items() if not dropped]:
        REOPEN.execute(days=archiving)
    return {day for day, dropped in known.items() if dropped}


def own(day: date) -> None:
    """Wait until nobody else adds events of ``day``, and keep others out."""
    OWN.rows(day=day)


def keep(day: date) -> None:
    """Keep ``day`` from being dropped, archived or replayed, for one who only reads it."""
    SHARE.rows(days=[day])
