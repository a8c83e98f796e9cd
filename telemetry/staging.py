"""The staging table: the new events of this transaction, for the consumers.

A temporary table of the connection, emptied at each commit. Ingest copies a batch into it and
removes the duplicates; replay fills it from what is stored or archived. Then the consumers read it.
"""

from telemetry import database

CREATE = database.load(__name__, "create_staging")
EMPTY = database.load(__name__, "empty_staging")


def prepare() -> None:
    """Create the table on this connection if it isn't there; empty it. Inside a transaction."""
    CREATE.execute()


def empty() -> None:
    """Empty the table for the next slice of a long transaction."""
    EMPTY.execute()
