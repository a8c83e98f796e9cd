"""What the conductor's pages draw: squares and bars, tasks with the same parent, failed ones."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from orbit.conductor.counts import Counts
from orbit.conductor.grid import Grid, Row
from orbit.conductor.tree import Failed, Siblings
from orbit.models import ConductorTask
from orbit.states import TaskState

PITCH = 14
BAR = 100.0
_LEAST = 2.0
#: State -> the sign in its square, so that colour alone tells no state.
SIGNS = {
    "failed": "M3 3l6 6M9 3l-6 6",
    "retrying": "M6 2.5v4M6 9v.5",
    "running": "M4.5 3l4 3-4 3z",
    "pending": "M6 6v.01",
    "cancelled": "M3 9l6-6",
    "succeeded": "",
}
NAMES = {"retrying": "to be tried again"}


@dataclass(frozen=True, slots=True)
class DrawnSquare:
    """A square; ``title`` says what its tasks are."""

    x: int
    state: str
    sign: str
    title: str


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """A row of squares; ``words`` say the same."""

    label: str
    query: str
    squares: list[DrawnSquare]
    words: str
    #: None of its tasks needs anybody.
    quiet: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar, from 0 to 100."""

    x: float
    width: float
    state: str


@dataclass(frozen=True, slots=True)
class Bar:
    """Counts as a bar and in words."""

    segments: list[Segment]
    words: str
    total: int


def bar(counts: Counts) -> Bar:
    """Return counts as a bar; a state that occurs is never too thin to be seen."""
    items = counts.items()
    widths = {state: max(_LEAST, BAR * number / counts.total) for state, number in items}
    scale = BAR / sum(widths.values()) if widths else 1.0
    segments, x = [], 0.0
    for state, width in widths.items():
        segments.append(Segment(round(x, 2), round(width * scale, 2), state))
        x += width * scale
    return Bar(segments, words(counts), counts.total)


def words(counts: Counts) -> str:
    """Return counts in words, failed first."""
    items = counts.items()
    if not items:
        return "none"
    if len(items) == 1:
        ((state, number),) = items
        return f"{'all ' if number > 1 else ''}{number:,} {_name(state)}"
    return ", ".join(f"{number:,} {_name(state)}" for state, number in items)


def rows(grid: Grid) -> list[DrawnRow]:
    """Return the rows of a grid."""
    return [_row(row) for row in grid.rows]


def legend(grid: Grid) -> list[DrawnSquare]:
    """Return a square for each state that the page has."""
    seen = {square.state for row in grid.rows for square in row.squares}
    return [
        DrawnSquare(0, state, sign, _name(state)) for state, sign in SIGNS.items() if state in seen
    ]


def _row(row: Row) -> DrawnRow:
    squares = [
        DrawnSquare(
            place * PITCH,
            square.state or "absent",
            SIGNS.get(square.state, ""),
            f"{span(square.first, square.last)}: {words(square.counts)}",
        )
        for place, square in enumerate(row.squares)
    ]
    query = urlencode({"at": row.first})
    states = {state for state, _ in row.counts.items()}
    return DrawnRow(
        span(row.first, row.last), query, squares, words(row.counts), states <= {"succeeded"}
    )


def span(first: int, last: int) -> str:
    """Return a range of numbers in words."""
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _name(state: str) -> str:
    return NAMES.get(state, state)


def siblings(tasks: Siblings) -> dict[str, Any]:
    """Return what the template shows of tasks with the same parent."""
    drawn = rows(tasks.grid)
    return {
        "grid": tasks.grid,
        "rows": drawn,
        "as_squares": bool(drawn),
        "legend": legend(tasks.grid),
        "has_parents": any(node.counts for node in tasks.nodes),
        "nodes": [
            {
                "task": node.task,
                "state": state_of(node.task),
                "bar": bar(node.counts) if node.counts else None,
            }
            for node in tasks.nodes
        ],
        "listed": span(tasks.nodes[0].task.index, tasks.nodes[-1].task.index)
        if tasks.nodes
        else "",
        "before": tasks.before,
        "after": tasks.after,
    }


def failed(tasks: Failed) -> dict[str, Any]:
    """Return what the template shows of failed tasks."""
    return {
        "tasks": [(task, state_of(task)) for task in tasks.tasks],
        "after": urlencode({"failed_after": tasks.after}) if tasks.after else "",
    }


def state_of(task: ConductorTask) -> str:
    """Return the state of a task in the words of the pages."""
    return "retrying" if task.state == TaskState.FAILED and task.ready else task.state.lower()
