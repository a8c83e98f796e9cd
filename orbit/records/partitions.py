"""The partitions of records, checkpoints and events: made ahead.

A row without a partition goes to its table's DEFAULT partition.
"""

from django.db import DEFAULT_DB_ALIAS, DatabaseError

from governance.kernel import partition_upkeep, sql
from governance.kernel.partition_upkeep import Report, TableState, Upkeep
from telemetry import database
from telemetry import partitions as event_partitions

MISSING = sql.load(__name__, "missing_partitions")
STATES = sql.load(__name__, "partition_states")
UPKEEP = Upkeep("orbit", DEFAULT_DB_ALIAS)


def states() -> list[TableState]:
    """Return the state of each partitioned table of the main database. Two queries."""
    # What a second database lacks stops no cycle.
    events = [] if database.IS_SEPARATE else event_partitions.states()
    return [*events, *(TableState(*row) for row in STATES.rows())]


def problems() -> list[str]:
    """Return a sentence for each table that isn't as it should be. Two queries."""
    return problems_of(states())


def problems_of(tables: list[TableState]) -> list[str]:
    """Return a sentence for each of the tables that isn't as it should be."""
    return partition_upkeep.problems(tables)


def ensure(report: Report = lambda what, error: None) -> int:
    """Make the missing partitions, empty the DEFAULT ones; return how many were made.

    ``report`` hears of those that are made later. No writer waits. Those of a second database are
    made by who forwards events.
    """
    failure, made = None, 0
    try:
        if not database.IS_SEPARATE:
            made += event_partitions.ensure_ahead(report)
    except DatabaseError as error:
        failure = error  # a broken table
    made += UPKEEP.ensure([day for (day,) in MISSING.send()], report)
    if failure is not None:
        raise failure
    return made
