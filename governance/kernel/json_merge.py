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
    theirs: Any
    mine: Any
    clash: bool

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer."""
        return pointer(self.path)


def places(base: Any, theirs: Any, mine: Any, path: Path = ()) -> Iterator[Place]:
    """Yield where ``theirs`` or ``mine`` differ from ``base``. A list is one place."""
    sides = (base, theirs, mine)
    if all(isinstance(side, dict) for side in sides):
        for key in sorted(base.keys() | theirs.keys() | mine.keys()):
            yield from places(*(side.get(key, ABSENT) for side in sides), (*path, key))
    elif not (_equal(base, theirs) and _equal(base, mine)):
        clash = not (_equal(base, theirs) or _equal(base, mine) or _equal(theirs, mine))
        yield Place(path, base, theirs, mine, clash)


def combine(base: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any]) -> dict[str, Any]:
    """Return ``theirs`` with the changes of ``mine``, which wins where both changed a place."""
    combined = deepcopy(theirs)
    for place in places(base, theirs, mine):
        if _equal(place.base, place.mine):
            continue
        *outer, last = place.path
        target: Any = combined
        for step in outer:
            target = target[step]  # both sides are objects up to the place itself
        if place.mine is ABSENT:
            target.pop(last, None)
        else:
            target[last] = deepcopy(place.mine)
    return combined


def _equal(left: Any, right: Any) -> bool:
    # Not by ==: Python's 1 == True is not JSON's.
    return not any(True for _ in json_diff.walk(left, right))
