"""Count deliveries by hour and cycles by day.

Each refresh adds the rows after the last one counted, and moves the mark in the same statement: a
crash loses nothing and counts nothing twice. What is newer than the oldest transaction that writes,
or than the oldest attempt in flight, is left out; readers count those rows themselves.

An attempt that another worker has closed is counted by the statement that records its late 2xx. If
the database's clock goes back, the hours and days from then on are counted anew.

What can still go wrong: an attempt is not counted if its own worker records the answer more than 15
minutes after it began, since no attempt takes longer than two; nor is what a transaction of more
than 15 minutes writes. After a clock was set back, the attempts of a second at the beginning of
that hour may be missed.
"""

from django.db import transaction

from governance.kernel import sql
from orbit.models import RollUpMark

#: Rows of a kind that one refresh counts, and that a reader counts.
MOST = 20_000
#: Seconds that are left to readers: between a row's time and the first write of its transaction.
DELIVERY_LAG, CYCLE_LAG = 10, 30
#: Attempts in flight and open transactions hold the mark back so long; most end within seconds.
LONGEST_ATTEMPT = 900
#: A mark so far in the future was made by a wrong clock.
AHEAD = 60
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
PUT_BACK = sql.load(__name__, "put_back", longest_attempt=LONGEST_ATTEMPT, ahead=AHEAD)
#: CTEs of the statement that records a late 2xx.
COUNT_LATE = sql.fragment(__name__, "count_late")
WRITTEN = sql.load(__name__, "written")
#: Columns hour, delivered, dead of the last 24 hours. Takes ``scope``: namespaces, null for all.
PER_HOUR = sql.load(__name__, "per_hour", most=MOST)
#: Columns namespace, day and a count for each outcome, of the last 14 days. Takes ``scope``.
PER_DAY = sql.load(__name__, "per_day", most=MOST)
PRUNE = sql.load(__name__, "prune_hours")


def refresh() -> bool:
    """Count what has ended; return whether there is more than one refresh counts.

    Two at once do no harm: one of them does nothing.
    """
    with transaction.atomic():
        # Locked before the statements that count, so that their snapshots are newer: they see what
        # other refreshes counted, and every late 2xx that found the mark before it.
        marks = RollUpMark.objects.select_for_update(skip_locked=True, no_key=True)
        locked = list(marks.values_list("kind", flat=True))
        PUT_BACK.send()
        [(written,)] = WRITTEN.send()
        rows = ADVANCE.send(written=written, locked=locked)
    return any(max(row) >= MOST for row in rows)


def catch_up(rounds: int = 5) -> None:
    """Refresh until nothing is left, at most so often: after an upgrade there is a day to count."""
    while rounds and refresh():
        rounds -= 1


def prune(*, limit: int) -> int:
    """Delete hours that no page shows any more; days are kept. Return how many."""
    return PRUNE.execute(most=limit)
