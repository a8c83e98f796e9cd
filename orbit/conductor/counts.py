"""Exact counts of tasks by state, for pages that show many runs or parents at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from governance.kernel import sql

OF_RUNS = sql.load(__name__, "sum_tallies_of_runs")
OF_PARENTS = sql.load(__name__, "sum_tallies_of_parents")


class Stored(Protocol):
    """A row with stored counts: a run or a parent."""

    pending: int
    running: int
    retrying: int
    succeeded: int
    failed: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tasks are in each state. ``retrying``: failed, but another attempt follows."""

    pending: int = 0
    running: int = 0
    retrying: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """All tasks."""
        return self.pending + self.running + self.retrying + self.ended

    @property
    def ended(self) -> int:
        """Those that a retry alone can start again."""
        return self.succeeded + self.failed + self.cancelled

    def items(self) -> list[tuple[str, int]]:
        """Return (state, number) of the states that occur, failed first."""
        return [(name, number) for name in WORST_FIRST if (number := getattr(self, name))]


WORST_FIRST = ("failed", "retrying", "running", "pending", "cancelled", "succeeded")
_NAMES = tuple(field.name for field in fields(Counts))


def of_runs(stored: Iterable[tuple[str, Stored]]) -> dict[str, Counts]:
    """Return the exact counts of runs, by id, from their ids and rows."""
    rows = list(stored)
    if not rows:
        return {}
    return _with_tallies(rows, OF_RUNS.rows(runs=[run_id for run_id, _ in rows]))


def of_parents(run_id: str, stored: Iterable[tuple[str, Stored]]) -> dict[str, Counts]:
    """Return the exact counts of the children of some parents of a run, by the parent's id."""
    rows = list(stored)
    if not rows:
        return {}
    waiting = OF_PARENTS.rows(run=run_id, parents=[parent_id for parent_id, _ in rows])
    return _with_tallies(rows, waiting)


def _with_tallies(
    rows: Sequence[tuple[str, Stored]], waiting: Sequence[tuple[object, ...]]
) -> dict[str, Counts]:
    changes = {row[0]: row[1:] for row in waiting}
    counts = {}
    for row_id, row in rows:
        change = changes.get(row_id, (0,) * len(_NAMES))
        # Aggregate may add up between two statements: never show a negative number.
        numbers = [
            max(0, getattr(row, name) + int(str(more)))
            for name, more in zip(_NAMES, change, strict=True)
        ]
        counts[row_id] = Counts(*numbers)
    return counts
