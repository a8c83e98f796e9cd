"""Cut a stream into the texts of its events, in constant memory.

An NDJSON file is cut at its line breaks. An array, and objects that span lines, are cut by their
brackets: each event is then parsed by itself, so a bad one doesn't hide the next.
"""

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from telemetry.ingest import event_json, limits
from telemetry.ingest.verdicts import Code, EventInvalid

#: White space around an event is kept with it.
_MOST = limits.LARGEST_EVENT + 1024


class Piece(NamedTuple):
    """The text of one event, or what is wrong with it. ``line`` counts from 1."""

    raw: bytes
    line: int | None = None
    problem: EventInvalid | None = None


#: Nothing more is there just now: an empty chunk came.
PAUSE = Piece(b"")


def pieces(chunks: Iterable[bytes], *, is_lines: bool) -> Iterator[Piece]:
    """Cut NDJSON, an array, or one object; the first byte decides which.

    ``is_lines``: an object at the beginning is NDJSON for certain. An empty chunk gives ``PAUSE``.
    """
    waiting = iter(chunks)
    start, blank_lines = b"", 0
    # The end of the first line tells NDJSON from an object that spans lines.
    for chunk in waiting:
        start += chunk
        if not start.strip():
            blank_lines += start.count(b"\n")
            start = b""
        elif b"\n" in start.lstrip() or len(start) > _MOST:
            break
    whole = _prepend(start, waiting)
    first = start.lstrip()
    if first.startswith(b"[") or (not is_lines and _spans_lines(first)):
        return values(whole)
    return lines(whole, blank_lines)


def lines(chunks: Iterable[bytes], number: int = 0) -> Iterator[Piece]:
    """Cut NDJSON. Blank lines are skipped; a line that is too long is read past.

    ``number`` of lines came before.
    """
    rest, is_skipping = b"", False
    for chunk in chunks:
        if not chunk:
            yield PAUSE
            continue
        *whole, last = chunk.split(b"\n")
        if whole:
            whole[0] = rest + whole[0]
            rest = b""
        for raw in whole:
            number += 1
            if is_skipping:
                is_skipping = False
            elif len(raw) > _MOST:
                yield Piece(b"", number, event_json.too_large())
            elif raw and not raw.isspace():
                yield Piece(raw, number)
        rest += b"" if is_skipping else last
        if len(rest) > _MOST:
            yield Piece(b"", number + 1, event_json.too_large())
            rest, is_skipping = b"", True
    if rest.strip():
        yield Piece(rest, number + 1)


def values(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Cut a JSON array, or JSON values one after another."""
    scanner = _Scanner()
    for chunk in chunks:
        if not chunk:
            yield PAUSE
        yield from scanner.feed(chunk)
    yield from scanner.end()


# Everything up to the next bracket, with the strings in between.
_INSIDE = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
# A number, a word, or whatever else stands where an object should be.
_BARE = re.compile(rb"[^\s,\[\]{}\"]*+")
_SPACE = re.compile(rb"\s*+")
# Up to a string that doesn't end here.
_COMPLETE = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")  # 1 and -1
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
#: After so many brackets of a value we read so many bytes at once.
_MANY_BRACKETS, _LEAP = 64, 512


@dataclass(slots=True)
class _Scanner:
    """Where in the JSON text we are; fed with one chunk after another."""

    is_array: bool | None = None  # None: nothing was read
    has_ended: bool = False
    awaits_comma: bool = False
    depth: int = 0  # of brackets in the present value
    in_string: bool = False
    is_escaped: bool = False  # the chunk ended after a backslash
    is_bare: bool = False  # in a number or word
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    brackets: int = 0  # of the present value, read one by one

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Return the values that end in ``chunk``."""
        position = 0
        while position < len(chunk):
            if self.depth or self.in_string or self.is_bare:
                end = self._within(chunk, position)
                self._keep(chunk[position:end])
                position = end
                if not (self.depth or self.in_string or self.is_bare):
                    yield self._taken()
            else:
                position = _SPACE.match(chunk, position).end()  # type: ignore[union-attr]
                if position < len(chunk):
                    position, piece = self._between(chunk, position)
                    if piece:
                        yield piece

    def end(self) -> Iterator[Piece]:
        """Return the value that the end of the text cuts off, or says that the array is cut."""
        if self.is_bare:
            self.is_bare = False
            yield self._taken()
        elif self.depth or self.in_string:
            yield _bad("The text ends in the middle of this event. Was it cut off?")
        elif self.is_array and not self.has_ended:
            yield _bad("The array has no end. Was the text cut off?")

    def _between(self, chunk: bytes, position: int) -> tuple[int, Piece | None]:
        """Read the mark at ``position`` outside of any value; return where to go on."""
        mark = chunk[position : position + 1]
        if self.has_ended:
            return len(chunk), None if self.size else self._rest()
        if self.is_array is None:
            self.is_array = mark == b"["
            if self.is_array:
                return position + 1, None
        if mark == b"]" and self.is_array:
            self.has_ended = True
            return position + 1, None
        if mark == b"," and self.is_array:
            piece = None if self.awaits_comma else _bad("There is no event before this comma.")
            self.awaits_comma = False
            return position + 1, piece
        if mark in b",]}":
            return position + 1, _bad(f"Here is a {mark.decode()!r} that belongs to nothing.")
        self._begin(mark)
        return position + (mark in b'{["'), None

    def _begin(self, mark: bytes) -> None:
        self.parts, self.size, self.brackets = [], 0, 0
        self.depth, self.in_string = int(mark in b"{["), mark == b'"'
        self.is_bare = mark not in b'{["'
        if not self.is_bare:
            self._keep(mark)

    def _within(self, chunk: bytes, position: int) -> int:
        """Read on in the present value; return where its part of ``chunk`` ends."""
        if self.is_bare:
            end: int = _BARE.match(chunk, position).end()  # type: ignore[union-attr]
            self.is_bare = end == len(chunk)
            return end
        if self.in_string:
            return self._within_string(chunk, position)
        if self.brackets > _MANY_BRACKETS and (end := self._leap(chunk, position)) > position:
            return end
        end = _INSIDE.match(chunk, position).end()  # type: ignore[union-attr]
        if end == len(chunk):
            return end
        self.brackets += 1
        mark = chunk[end : end + 1]
        if mark == b'"':  # a string that this chunk doesn't end
            self.in_string = True
        else:
            self.depth += 1 if mark in b"{[" else -1
        return end + 1

    def _leap(self, chunk: bytes, position: int) -> int:
        """Read past many brackets, if the value doesn't end among them: megabytes of them come."""
        end: int = _COMPLETE.match(chunk, position, position + _LEAP).end()  # type: ignore[union-attr]
        marks = _STRING.sub(b"", chunk[position:end]).translate(_STEPS, _NO_BRACKETS)
        steps = array("b", marks)
        if min(accumulate(steps, initial=self.depth)) > 0:
            self.depth += sum(steps)
            return end
        self.brackets = 0
        return position

    def _within_string(self, chunk: bytes, position: int) -> int:
        if self.is_escaped:
            self.is_escaped = False
            position += 1
        end: int = _IN_STRING.match(chunk, position).end()  # type: ignore[union-attr]
        if end == len(chunk):
            return end
        if chunk[end : end + 1] == b'"':
            self.in_string = False
        else:  # a backslash is the last byte
            self.is_escaped = True
        return end + 1

    def _keep(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= _MOST:
            self.parts.append(part)
        else:
            self.parts.clear()

    def _taken(self) -> Piece:
        piece = (
            Piece(b"", None, event_json.too_large())
            if self.size > _MOST
            else Piece(b"".join(self.parts))
        )
        if self.is_array and self.awaits_comma:
            piece = _bad("There is no comma before this event.")
        self.awaits_comma, self.parts, self.size = True, [], 0
        return piece

    def _rest(self) -> Piece:
        self.size = 1  # said once
        return _bad("There is more text after the end of the array. It isn't read.")


def _bad(detail: str) -> Piece:
    return Piece(b"", None, EventInvalid(Code.INVALID_JSON, detail))


def _prepend(start: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    yield from chunks


def _spans_lines(start: bytes) -> bool:
    """Tell whether the first line is the beginning of an object that goes on in the next."""
    line, line_break, _ = start.partition(b"\n")
    return bool(line_break) and line.rstrip().endswith((b"{", b"[", b","))
