"""What a deed changed: a document before and after it, leaf by leaf."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST = 200


@dataclass(frozen=True, slots=True)
class Change:
    """One place that differs, by its JSON pointer; ``before`` or ``after`` is None where there was or is nothing."""

    pointer: str
    before: str | None
    after: str | None


def between(before: Any, after: Any) -> list[Change]:
    """Return the places where two JSON values differ, ``MOST`` at the most, in the order of their pointers."""
    old, new = dict(_leaves("", before)), dict(_leaves("", after))
    different = [
        Change(pointer, old.get(pointer), new.get(pointer))
        for pointer in sorted({*old, *new})
        if old.get(pointer) != new.get(pointer)
    ]
    return different[:MOST]


def _leaves(pointer: str, value: Any) -> Iterator[tuple[str, str]]:
    children: Iterator[tuple[Any, Any]]
    if isinstance(value, dict) and value:
        children = iter(value.items())
    elif isinstance(value, list) and value:
        children = iter(enumerate(value))
    else:
        if value is not None or pointer:
            yield (
                pointer or "/",
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
            )
        return
    for key, child in children:
        yield from _leaves(f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}", child)
