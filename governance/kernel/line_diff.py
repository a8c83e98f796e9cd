"""How two JSON documents differ, as lines with their changed words.

It follows the documents' structure, not their text, so its time grows only with their size.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from governance.kernel.json_diff import ABSENT
from governance.kernel.schemas import pointer

_CONTEXT = 2
_MOST_LINES = 400
#: Longer lists are compared place by place.
_MOST_ALIGNED = 200
_MOST_WORDS = 400
_LONGEST = 400
_AROUND = 80
# Numbers are words too: 0.2 and 2.0 share no part.
_WORDS = re.compile(r"-?\d[\w.+-]*|\w+|\s+|[^\w\s]")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a line."""

    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is in both documents, or "removed" or "added"."""

    kind: str
    parts: tuple[Part, ...]
    path: Path = ()


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines around a change; ``place`` is the JSON pointer of what they are in."""

    place: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class LineDiff:
    """The changed places; ``left_out`` lines of them are too many to show."""

    hunks: list[Hunk]
    removed: int
    added: int
    left_out: int


def compare(before: Any, after: Any) -> LineDiff:
    """Return the places where two JSON values differ, each with some lines around it."""
    lines = list(_value(before, after, "", "", (), 0))
    near_change = [False] * len(lines)
    for number, line in enumerate(lines):
        if line.kind != "same":
            for near in range(max(0, number - _CONTEXT), min(len(lines), number + _CONTEXT + 1)):
                near_change[near] = True
    hunks: list[Hunk] = []
    count = 0
    for start, end in _runs(near_change):
        part = lines[start : min(end, start + _MOST_LINES - count)]
        if part:
            hunks.append(Hunk(_place(part), part))
        count += len(part)
    kinds = [line.kind for line in lines]
    return LineDiff(hunks, kinds.count("removed"), kinds.count("added"), sum(near_change) - count)


def _runs(near_change: list[bool]) -> Iterator[tuple[int, int]]:
    start = None
    for number, wants in enumerate([*near_change, False]):
        if wants and start is None:
            start = number
        elif not wants and start is not None:
            yield start, number
            start = None


def _place(lines: list[Line]) -> str:
    changed = next((line for line in lines if line.kind != "same"), lines[0])
    return pointer(changed.path[:-1])


def _value(before: Any, after: Any, head: str, tail: str, path: Path, depth: int) -> Iterator[Line]:
    """Yield the lines of a value between ``head`` (its key) and ``tail`` (a comma)."""
    if isinstance(before, dict) and isinstance(after, dict) and before and after:
        yield _same(depth, f"{head}{{", path)
        yield from _members(before, after, path, depth + 1)
        yield _same(depth, f"}}{tail}", path)
    elif isinstance(before, list) and isinstance(after, list) and before and after:
        yield _same(depth, f"{head}[", path)
        yield from _elements(before, after, path, depth + 1)
        yield _same(depth, f"]{tail}", path)
    elif before is not ABSENT and after is not ABSENT and _equal(before, after):
        for line in _text(before, head, tail, depth):
            yield Line("same", (Part(_cut(line)),), path)
    else:
        yield from _replaced(before, after, head, tail, path, depth)


def _members(
    before: dict[str, Any], after: dict[str, Any], path: Path, depth: int
) -> Iterator[Line]:
    keys = sorted(before.keys() | after.keys())
    for key in keys:
        head = f"{json.dumps(key, ensure_ascii=False)}: "
        sides = before.get(key, ABSENT), after.get(key, ABSENT)
        yield from _value(*sides, head, _comma(key is keys[-1]), (*path, key), depth)


def _elements(before: list[Any], after: list[Any], path: Path, depth: int) -> Iterator[Line]:
    pairs = list(_aligned(before, after))
    for number, (left, right, place) in enumerate(pairs):
        last = number == len(pairs) - 1
        yield from _value(left, right, "", _comma(last), (*path, place), depth)


def _aligned(before: list[Any], after: list[Any]) -> Iterator[tuple[Any, Any, int]]:
    """Pair the elements, so that one that is inserted doesn't change all that follow."""
    spans: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(before), 0, len(after))]
    if max(len(before), len(after)) <= _MOST_ALIGNED:
        texts = [[_canonical(item) for item in side] for side in (before, after)]
        spans = SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_opcodes()
    for _, left, left_end, right, right_end in spans:
        for step in range(max(left_end - left, right_end - right)):
            here, there = left + step < left_end, right + step < right_end
            yield (
                before[left + step] if here else ABSENT,
                after[right + step] if there else ABSENT,
                right + step if there else left + step,
            )


def _replaced(
    before: Any, after: Any, head: str, tail: str, path: Path, depth: int
) -> Iterator[Line]:
    old = [] if before is ABSENT else _text(before, head, tail, depth)
    new = [] if after is ABSENT else _text(after, head, tail, depth)
    if len(old) == len(new) == 1:
        was, now = _words(old[0], new[0])
        yield Line("removed", was, path)
        yield Line("added", now, path)
        return
    for kind, texts in (("removed", old), ("added", new)):
        for text in texts:
            yield Line(kind, (Part(_cut(text)),), path)


def _words(old: str, new: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Return both lines with their changed words marked; of long ones what is around these."""
    old, new = _around(old, new)
    sides = _WORDS.findall(old), _WORDS.findall(new)
    if max(len(side) for side in sides) > _MOST_WORDS:
        return (Part(old, changed=True),), (Part(new, changed=True),)
    matcher = SequenceMatcher(None, sides[0], sides[1], autojunk=False)
    parts: tuple[list[Part], list[Part]] = ([], [])
    for verb, left, left_end, right, right_end in matcher.get_opcodes():
        texts = "".join(sides[0][left:left_end]), "".join(sides[1][right:right_end])
        for side, text in zip(parts, texts, strict=True):
            if text:
                side.append(Part(text, changed=verb != "equal"))
    return tuple(parts[0]), tuple(parts[1])


def _around(old: str, new: str) -> tuple[str, str]:
    """Leave out what long lines have in common, so that a cut never hides the change."""
    if max(len(old), len(new)) <= _LONGEST:
        return old, new
    shorter = min(len(old), len(new))
    start = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    end = next((n for n in range(shorter - start) if old[-1 - n] != new[-1 - n]), shorter - start)
    start, end = max(0, start - _AROUND), max(0, end - _AROUND)
    was, now = (
        ("... " if start else "") + _cut(text[start : len(text) - end]) + (" ..." if end else "")
        for text in (old, new)
    )
    return was, now


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... cut here"


def _same(depth: int, text: str, path: Path) -> Line:
    return Line("same", (Part("  " * depth + text),), path)


def _text(value: Any, head: str, tail: str, depth: int) -> list[str]:
    pretty = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return [f"{'  ' * depth}{line}" for line in f"{head}{pretty}{tail}".split("\n")]


def _comma(last: bool) -> str:
    return "" if last else ","


def _equal(before: Any, after: Any) -> bool:
    return _canonical(before) == _canonical(after)


def _canonical(value: Any) -> str:
    # Not by ==: Python's 1 == True is not JSON's.
    return json.dumps(value, sort_keys=True)
