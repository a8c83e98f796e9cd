"""Where two JSON values differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from governance.kernel.schemas import pointer

Path = tuple[str | int, ...]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


#: Stands for a missing value; JSON's null is a value.
ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """A difference at a JSON pointer."""

    pointer: str
    before: Any
    after: Any


def changes(before: Any, after: Any) -> list[Change]:
    """Return the differences, sorted by key; what only one side has is one change."""
    return [Change(pointer(path), left, right) for path, left, right in walk(before, after)]


def walk(before: Any, after: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Yield path, left and right of every difference."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from walk(before.get(key, ABSENT), after.get(key, ABSENT), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            left, right = (side[index] if index < len(side) else ABSENT for side in (before, after))
            yield from walk(left, right, (*path, index))
    elif before is not after and (
        isinstance(before, bool) != isinstance(after, bool) or before != after
    ):  # Python's 1 == True is not JSON's
        yield path, before, after
