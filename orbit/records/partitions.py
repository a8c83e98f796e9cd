"""The partitions of events, records and checkpoints: made ahead.

A row without a partition goes to its table's DEFAULT partition.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from django.db import DatabaseError, OperationalError, connection
from psycopg.errors import LockNotAvailable

from governance.kernel import sql

#: So many slices of a DEFAULT partition are moved at once.
_MOST_SLICES = 50

MISSING = sql.load(__name__, "missing_partitions")
STATES = sql.load(__name__, "partition_states")


@dataclass(frozen=True, slots=True)
class TableState:
    """A partitioned table, by the database's clock."""

    table: str
    #: A row of now has a partition.
    made: bool
    #: There is a DEFAULT partition.
    has_default: bool
    #: It holds rows.
    default_used: bool

    @property
    def takes_rows(self) -> bool:
        """Whether a row of now can be written."""
        return self.made or self.has_default


def states() -> list[TableState]:
    """Return the state of each partitioned table. One query."""
    return [TableState(*row) for row in STATES.rows()]


def problems() -> list[str]:
    """Return a sentence for each table that isn't as it should be. One query."""
    sentences = []
    for state in states():
        if not state.takes_rows:
            sentences.append(f"{state.table} has no partition for rows of now: they are refused.")
        elif not state.made:
            sentences.append(
                f"{state.table} has no partition for rows of now: {state.table}_default takes them."
            )
        elif state.default_used:
            sentences.append(f"{state.table}_default holds rows that need partitions of their own.")
    return sentences


def ensure(report: Callable[[str, object], None] = lambda what, error: None) -> int:
    """Make the missing partitions, empty the DEFAULT ones; return how many were made.

    Each one is a transaction of its own. While a dump or another long reader holds the
    DEFAULT partition, those that are due are made later, and ``report`` hears of it. No writer
    waits for them.
    """
    missing = MISSING.rows()
    made, failures = 0, []
    for app in ("telemetry", "orbit"):
        steps = [_make(app, day) for owner, day in missing if owner == app]
        for step in (*steps, _empty_default(app)):
            try:
                for number in step:
                    made += number
            except DatabaseError as error:
                if isinstance(error.__cause__, LockNotAvailable):
                    report(f"partitions of {app} are made later", error)
                    break
                if isinstance(error, OperationalError):
                    raise  # the server is away
                # One broken table doesn't keep the others without partitions.
                report(f"a partition of {app} can't be made", error)
                failures.append(error)
    if failures:
        raise failures[0]
    return made


def _make(app: str, day: date) -> Iterator[int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {app}_ensure_partitions(%s, %s)", [day, day])
        yield int(cursor.fetchone()[0])


def _empty_default(app: str) -> Iterator[int]:
    with connection.cursor() as cursor:
        for _ in range(_MOST_SLICES):
            cursor.execute(f"SELECT {app}_empty_default()")
            made = int(cursor.fetchone()[0])
            if not made:
                return
            yield made
