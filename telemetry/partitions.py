"""The partitions of events, one for each UTC day: made ahead, and on demand for older days.

An event without a partition goes to the DEFAULT partition.
"""

from collections.abc import Iterable
from datetime import date

from django.db import DatabaseError, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from governance.kernel.partition_upkeep import Report, TableState, Upkeep
from telemetry import database, days

MISSING = database.load(__name__, "missing_partitions")
STATES = database.load(__name__, "partition_states")
NEEDED = database.load(__name__, "needed_partitions")
UPKEEP = Upkeep("telemetry", database.ALIAS)


def states() -> list[TableState]:
    """Return the state of the table of events. One query."""
    return [TableState(*row) for row in STATES.rows()]


def ensure_ahead(report: Report = lambda what, error: None) -> int:
    """Make the partitions from yesterday to a week ahead, empty the DEFAULT one.

    Returns how many were made; ``report`` hears of those that are made later.
    """
    return UPKEEP.ensure([day for (day,) in MISSING.send()], report)


def ensure(needed: Iterable[date]) -> int:
    """Make the partitions of days that lack them, unless dropped; return how many were made.

    Call it before the transaction that writes: it locks the DEFAULT partition until the commit. If
    that one is in use, the events go there, and maintenance makes the partitions later.
    """
    made = 0
    for (day,) in NEEDED.rows(days=sorted(set(needed))):
        try:
            with transaction.atomic(using=database.ALIAS):
                # Shared: a day that is just being dropped gets no new partition.
                if not days.share([day]):
                    made += sum(UPKEEP.make(day))
        except DatabaseError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
    return made
