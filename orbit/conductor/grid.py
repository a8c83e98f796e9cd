"""Children by the thousand, as squares: each stands for a bucket of neighbours.

A page has at most 400 squares of at most 100 tasks, so it reads at most 40,000 tasks by their
index, however many siblings they have. Each square is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from governance.kernel import sql
from orbit.conductor.counts import Counts

_CHILDREN = "t.parent_id = %(owner)s"
_ROOTS = "t.run_id = %(owner)s AND t.parent_id IS NULL"
CHILD_BUCKETS = sql.load(__name__, "count_buckets", siblings=_CHILDREN)
ROOT_BUCKETS = sql.load(__name__, "count_buckets", siblings=_ROOTS)

SQUARES = 400
IN_A_ROW = 20
#: A square stands for the smallest of these by which all fit on one page; else for the largest.
SIZES = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Square:
    """The tasks from index ``first`` to ``last``."""

    first: int
    last: int
    counts: Counts

    @property
    def state(self) -> str:
        """The worst state of its tasks; empty if they aren't there (yet)."""
        return next((state for state, _ in self.counts.items()), "")


@dataclass(frozen=True, slots=True)
class Row:
    """Squares side by side."""

    squares: Sequence[Square]

    @property
    def first(self) -> int:
        """The index of its first task."""
        return self.squares[0].first

    @property
    def last(self) -> int:
        """The index of its last task."""
        return self.squares[-1].last

    @property
    def counts(self) -> Counts:
        """The counts of all its squares."""
        each = [square.counts for square in self.squares]
        return Counts(*(sum(getattr(counts, name) for counts in each) for name in Counts.__slots__))


@dataclass(frozen=True, slots=True)
class Grid:
    """A page of squares: the tasks from ``first`` to ``last`` of ``highest``."""

    size: int
    first: int
    last: int
    highest: int
    rows: Sequence[Row]

    @property
    def before(self) -> int | None:
        """Where the page before begins."""
        return self.first - SQUARES * self.size if self.first > 1 else None

    @property
    def after(self) -> int | None:
        """Where the next page begins."""
        return self.last + 1 if self.last < self.highest else None


def of_children(parent_id: str, *, highest: int, at: int = 1) -> Grid:
    """Return the page with child number ``at``; ``highest`` is the last child's index."""
    return _read(CHILD_BUCKETS, parent_id, highest, at)


def of_roots(run_id: str, *, highest: int, at: int = 1) -> Grid:
    """Return the page with root number ``at``; ``highest`` is the last root's index."""
    return _read(ROOT_BUCKETS, run_id, highest, at)


def _read(statement: sql.Statement, owner: str, highest: int, at: int) -> Grid:
    size = next((size for size in SIZES if highest <= SQUARES * size), SIZES[-1])
    page = SQUARES * size
    first = (min(max(at, 1), max(highest, 1)) - 1) // page * page + 1
    last = min(first + page - 1, highest)
    by_bucket = {
        bucket: Counts(*numbers)
        for bucket, *numbers in statement.rows(owner=owner, first=first, last=last, size=size)
    }
    squares = [
        Square(start, min(start + size - 1, last), by_bucket.get(bucket, Counts()))
        for bucket, start in enumerate(range(first, last + 1, size))
    ]
    rows = [Row(squares[n : n + IN_A_ROW]) for n in range(0, len(squares), IN_A_ROW)]
    return Grid(size, first, last, highest, rows)
