"""What `input` says of a task: how many children it gets, and what theirs is."""

from collections.abc import Mapping
from typing import Any

#: The most children of one parent, and of it and its children's children together.
MOST_CHILDREN = 10_000_000
#: How deep parents made by fan-out may be nested: each level makes the names longer.
MOST_LEVELS = 10
FANOUT, CHILD = "fanout", "child"


def fanout(task_input: Any) -> int | None:
    """Return how many children ``input.fanout`` asks for; None: it is missing or not valid."""
    if not is_parent(task_input) or problem(task_input):
        return None
    return int(task_input[FANOUT])


def is_parent(task_input: Any) -> bool:
    """Return whether the task's work is its children."""
    return isinstance(task_input, Mapping) and FANOUT in task_input


def problem(task_input: Any) -> str:
    """Return why ``input.fanout`` can't be used, as a sentence; empty if it can."""
    total, tasks, levels = 0, 1, 0
    while is_parent(task_input):
        number = _whole(task_input[FANOUT])
        if number is None or not 1 <= number <= MOST_CHILDREN:
            # Of a child: the child fails, not its parent.
            return "" if levels else _wrong(task_input[FANOUT])
        tasks *= number
        total += tasks
        levels += 1
        if total > MOST_CHILDREN:
            return (
                f"input.fanout and those of the children make more than {MOST_CHILDREN:,} tasks. "
                "Use less, or several parents."
            )
        if levels > MOST_LEVELS:
            return f"The children are nested deeper than {MOST_LEVELS} levels. Use fewer."
        task_input = task_input.get(CHILD)
    return ""


def of_child(parent_input: Any, index: int) -> dict[str, Any]:
    """Return the input of the child ``index`` of a parent that fans out."""
    given = parent_input if isinstance(parent_input, Mapping) else {}
    child = given.get(CHILD)
    if not isinstance(child, Mapping):
        child = {name: value for name, value in given.items() if name != FANOUT}
    return {**child, "index": index}


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value)


def _wrong(value: Any) -> str:
    kind = {bool: "a boolean", str: "text", list: "an array", dict: "an object"}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None:
        what = "null"
    elif is_number:
        written = str(value)
        what = written if len(written) <= 20 else "a number that is far too large"
    else:
        what = kind.get(type(value), "something else")
    return f"input.fanout must be a whole number from 1 to {MOST_CHILDREN:,}, but it is {what}."
