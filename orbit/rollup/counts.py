"""Count deliveries by hour and cycles by day.

Each refresh adds the rows after the last one counted, and moves the mark in the same statement: a
crash loses nothing and counts nothing twice. The newest seconds are left out, because a transaction
may still write there; readers count those rows themselves.

What can still go wrong: an attempt that is answered more than 15 minutes after it began is not
counted, and a cycle whose end is committed more than 30 seconds later.
"""

from governance.kernel import sql

#: Rows of a kind that one refresh counts, and that a reader counts.
MOST = 20_000
#: Seconds that are left to readers. Cycles end in transactions that write more.
DELIVERY_LAG, CYCLE_LAG = 10, 30
#: Attempts in flight hold the mark back so long; most end within seconds.
LONGEST_ATTEMPT = 900
#: Where counting begins on the first refresh.
FIRST_HOURS, FIRST_DAYS = 24, 14

ADVANCE = sql.load(
    __name__,
    "advance",
    most=MOST,
    delivery_lag=DELIVERY_LAG,
    cycle_lag=CYCLE_LAG,
    longest_attempt=LONGEST_ATTEMPT,
    first_hours=FIRST_HOURS,
    first_days=FIRST_DAYS,
)
#: Columns hour, delivered, dead of the last 24 hours. Takes ``scope``: namespaces, null for all.
PER_HOUR = sql.load(__name__, "per_hour", most=MOST)
#: Columns namespace, day and a count for each outcome, of the last 14 days. Takes ``scope``.
PER_DAY = sql.load(__name__, "per_day", most=MOST)
PRUNE = sql.load(__name__, "prune_hours")


def refresh() -> bool:
    """Count what has ended; return whether there is more than one refresh counts.

    Two at once do no harm: one of them does nothing.
    """
    row = ADVANCE.one()
    return row is not None and max(row) >= MOST


def prune(*, limit: int) -> int:
    """Delete hours that no page shows any more; days are kept. Return how many."""
    return PRUNE.execute(most=limit)
