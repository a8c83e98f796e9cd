"""Three versions of a JSON document side by side, and both changes of the first in one."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from governance.kernel import json_diff
from governance.kernel.json_diff import ABSENT, Path
from governance.kernel.schemas import pointer


@dataclass(frozen=True, slots=True)
class Place:
    """A place at which one of the three differs. ``clash``: both changed it, not alike."""

    path: Path
    base: Any
    other: Any
    own: Any
    clash: bool

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer."""
        return pointer(self.path)


def places(base: Any, other: Any, own: Any, path: Path = ()) -> Iterator[Place]:
    """Yield where ``other`` or ``own`` differ from ``base``. A list is one place."""
    inner = {} if base is ABSENT else base  # both may have added an object
    if isinstance(inner, dict) and isinstance(other, dict) and isinstance(own, dict):
        for key in sorted(inner.keys() | other.keys() | own.keys()):
            sides = [side.get(key, ABSENT) for side in (inner, other, own)]
            yield from places(sides[0], sides[1], sides[2], (*path, key))
    elif not (_equal(base, other) and _equal(base, own)):
        clash = not (_equal(base, other) or _equal(base, own) or _equal(other, own))
        yield Place(path, base, other, own, clash)


def combine(base: dict[str, Any], other: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return ``other`` with the changes of ``own``, which wins where both changed a place."""
    combined = deepcopy(other)
    for place in places(base, other, own):
        if _equal(place.base, place.own):
            continue
        *outer, last = place.path
        target: Any = combined
        for step in outer:
            target = target[step]  # both sides are objects up to the place itself
        if place.own is ABSENT:
            target.pop(last, None)
        else:
            target[last] = deepcopy(place.own)
    return combined


def _equal(left: Any, right: Any) -> bool:
    # Not by ==: Python's 1 == True is not JSON's.
    return not any(True for _ in json_diff.walk(left, right))
