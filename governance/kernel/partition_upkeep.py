"""Upkeep of partitioned tables, over the functions that migrations make for an app.

A row without a partition goes to its table's DEFAULT partition.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import DatabaseError, OperationalError, connections
from psycopg.errors import LockNotAvailable

#: So many slices of a DEFAULT partition are moved at once.
_MOST_SLICES = 50

Report = Callable[[str, object], None]


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


def problems(states: Iterable[TableState]) -> list[str]:
    """Return a sentence for each table that isn't as it should be."""
    sentences = []
    for state in states:
        if not state.takes_rows:
            sentences.append(f"{state.table} has no partition for rows of now: they are refused.")
        elif not state.made:
            sentences.append(
                f"{state.table} has no partition for rows of now: {state.table}_default takes them."
            )
        elif state.default_used:
            sentences.append(f"{state.table}_default holds rows that need partitions of their own.")
    return sentences


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The partitions of ``app`` in the database ``using``."""

    app: str
    using: str

    def ensure(self, days: Sequence[date], report: Report) -> int:
        """Make the partitions of ``days``, empty the DEFAULT ones; return how many were made.

        Each one is a transaction of its own. While a dump or another long reader holds the
        DEFAULT partition, those that are due are made later, and ``report`` hears of it. No writer
        waits for them.
        """
        made, failures = 0, []
        for step in (*(self.make(day) for day in days), self._empty_default()):
            try:
                for number in step:
                    made += number
            except DatabaseError as error:
                if isinstance(error.__cause__, LockNotAvailable):
                    report(f"partitions of {self.app} are made later", error)
                    break
                if isinstance(error, OperationalError):
                    raise  # the server is away
                # One broken table doesn't keep the others without partitions.
                report(f"a partition of {self.app} can't be made", error)
                failures.append(error)
        if failures:
            raise failures[0]
        return made

    def make(self, day: date) -> Iterator[int]:
        """Make the partitions that rows of ``day`` need."""
        with connections[self.using].cursor() as cursor:
            cursor.execute(f"SELECT {self.app}_ensure_partitions(%s, %s)", [day, day])
            yield int(cursor.fetchone()[0])

    def _empty_default(self) -> Iterator[int]:
        with connections[self.using].cursor() as cursor:
            for _ in range(_MOST_SLICES):
                cursor.execute(f"SELECT {self.app}_empty_default()")
                made = int(cursor.fetchone()[0])
                if not made:
                    return
                yield made
