"""Bytes as they come from outside: gzip unpacked within bounds, encodings recognised."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from telemetry.ingest.limits import MIB

CHUNK = 256 * 1024
#: Beyond the first bytes, gzip that unpacks to more than this many times its size is refused: even
#: events that differ in their ids only don't reach a twentieth of it.
MOST_RATIO, RATIO_COUNTS_FROM = 500, 64 * MIB
_GZIP = b"\x1f\x8b"
#: Bytes that tell gzip from text.
HEADER = len(_GZIP)
_BOM = b"\xef\xbb\xbf"
_UTF_16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\0")
_WITH_GZIP_HEADER = zlib.MAX_WBITS | 16


class Unreadable(Exception):
    """From here on the input can't be read; the text says why and how to mend it."""


class TooMuch(Unreadable):
    """The input unpacks to more than is accepted."""


def is_gzip(start: bytes) -> bool:
    """Tell whether these first bytes are those of gzip."""
    return start.startswith(_GZIP)


def gunzip(chunks: Iterable[bytes], *, most: int | None = None) -> Iterator[bytes]:
    """Unpack gzip, of one member or several, in chunks of at most ``CHUNK`` bytes.

    An empty chunk is passed on. ``most``: bytes in all. Raises TooMuch, and Unreadable where the
    stream breaks.
    """
    stream = _Gzip(most)
    for chunk in chunks:
        if not chunk:
            yield chunk
        yield from stream.feed(chunk)
    yield from stream.end()


def text(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Return UTF-8 without its byte order mark. Raises Unreadable for UTF-16 and UTF-32."""
    waiting = iter(chunks)
    start = b""
    for chunk in waiting:
        start += chunk
        if len(start) >= len(_BOM):
            break
    if start.startswith(_UTF_16_OR_32) or start[1:2] == b"\0":
        raise Unreadable(
            "This is UTF-16 or UTF-32. Send UTF-8; in PowerShell write the file with "
            "`Out-File -Encoding utf8`"
        )
    if start := start.removeprefix(_BOM):
        yield start
    yield from waiting


@dataclass(slots=True)
class _Gzip:
    most: int | None
    member: Any = None  # zlib's object of the present member
    taken: int = 0  # bytes
    given: int = 0
    has_ended: bool = False  # at least one member

    def feed(self, data: bytes) -> Iterator[bytes]:
        self.taken += len(data)
        while data:
            if self.member is None:
                if self.has_ended and not data.strip(b"\0"):
                    return  # padding
                self.member = zlib.decompressobj(_WITH_GZIP_HEADER)
            yield from self._unpack(data)
            data = self.member.unconsumed_tail
            if self.member.eof:
                data, self.member, self.has_ended = self.member.unused_data, None, True

    def end(self) -> Iterator[bytes]:
        while self.member is not None and not self.member.eof:
            before = self.given
            yield from self._unpack(b"")
            if self.given == before and not self.member.eof:
                raise self._broken("it ends in the middle")

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        try:
            piece = self.member.decompress(data, CHUNK)
        except zlib.error as error:
            raise self._broken(str(error)) from None
        self.given += len(piece)
        if self.most is not None and self.given > self.most:
            raise TooMuch(
                f"It unpacks to more than {self.most // MIB} MiB. Send it in smaller parts"
            )
        if self.given > RATIO_COUNTS_FROM and self.given > MOST_RATIO * self.taken:
            raise TooMuch(
                f"It unpacks to more than {MOST_RATIO} times its size, as no log does. "
                "If it is one, unpack it first"
            )
        if piece:
            yield piece

    def _broken(self, why: str) -> Unreadable:
        return Unreadable(
            f"The gzip stream is broken after {self.given:,} unpacked bytes ({why}). What came "
            "before was read. Send the whole again: events that are there are skipped"
        )
