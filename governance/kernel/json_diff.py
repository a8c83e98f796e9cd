"""Where two JSON values differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from governance.kernel.schemas import pointer

Path = tuple[str | int, ...]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


#: The side that has no value at a place. JSON's null is a value.
ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """A place, as JSON pointer, at which a later value differs from an earlier one."""

    pointer: str
    before: Any
    after: Any


def changes(before: Any, after: Any) -> list[Change]:
    """Return every place at which ``after`` differs from ``before``, sorted by key.

    Either may be ABSENT. A value that only one side has is one change, however much it holds.
    """
    return [Change(pointer(path), left, right) for path, left, right in walk(before, after)]


def walk(before: Any, after: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Yield the path and both sides of every difference below ``path``."""
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
