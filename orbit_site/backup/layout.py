"""The parts of a backup file, byte for byte.

A header or a padding has many spellings; only the one that we write is accepted.
"""

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK, CHUNK_BYTES = tarfile.BLOCKSIZE, 1 << 20
MANIFEST, DUMP, SUMS = "manifest.json", "database.dump", "SHA256SUMS"
LARGEST_MANIFEST = 16 << 20
END = bytes(2 * BLOCK)

_SUMS = re.compile(rb"([0-9a-f]{64})  manifest\.json\n([0-9a-f]{64})  database\.dump\n")


class Malformed(Exception):
    """These aren't the bytes of a complete backup."""


class Foreign(Malformed):
    """This is something else than a backup."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a file are. Nothing of their contents is checked."""

    manifest_begin: int
    manifest_size: int
    dump_begin: int
    dump_size: int
    sums: bytes
    signature: bytes  # empty: the file ends without one

    def digests(self) -> tuple[str, str]:
        """Return the SHA-256 of manifest and dump."""
        match = _SUMS.fullmatch(self.sums)
        if match is None:
            raise Malformed
        return match[1].decode(), match[2].decode()


def locate(file: BinaryIO, size: int) -> Layout:
    """Find the parts in a file of ``size`` bytes. Raises Malformed, Foreign."""
    manifest_size = _expect(file, 0, MANIFEST)
    if manifest_size > LARGEST_MANIFEST:
        raise Malformed
    manifest_begin = BLOCK
    dump_header = manifest_begin + manifest_size + len(padding(manifest_size))
    _expect_zeros(file, manifest_begin + manifest_size, dump_header)
    dump_size = _expect(file, dump_header, DUMP)
    dump_begin = dump_header + BLOCK
    sums_header = dump_begin + dump_size + len(padding(dump_size))
    if sums_header + 2 * BLOCK + len(END) > size:
        raise Malformed
    _expect_zeros(file, dump_begin + dump_size, sums_header)
    sums_size = _expect(file, sums_header, SUMS)
    if sums_size != len(sums("0" * 64, "0" * 64)):
        raise Malformed
    text = file.read(sums_size)
    end = sums_header + 2 * BLOCK + len(END)
    _expect_zeros(file, sums_header + BLOCK + sums_size, end)
    signature = file.read(BLOCK + 1)
    if end + len(signature) != size or len(signature) not in (0, BLOCK):
        raise Malformed
    return Layout(manifest_begin, manifest_size, dump_begin, dump_size, text, signature)


def header(name: str, size: int) -> bytes:
    """Return the header of a member."""
    entry = tarfile.TarInfo(name)  # alone it would accept changed padding and checksum fields
    entry.size, entry.mode = size, 0o600
    return entry.tobuf(tarfile.GNU_FORMAT)


def member(name: str, content: bytes) -> bytes:
    """Return a whole member."""
    return header(name, len(content)) + content + padding(len(content))


def padding(size: int) -> bytes:
    """Return what fills the last block of ``size`` bytes."""
    return bytes(-size % BLOCK)


def sums(manifest: str, dump: str) -> bytes:
    """Return the text that ``sha256sum -c`` reads."""
    return f"{manifest}  {MANIFEST}\n{dump}  {DUMP}\n".encode()


def digest(content: bytes) -> str:
    """Return the SHA-256."""
    return hashlib.sha256(content).hexdigest()


def read(
    file: BinaryIO, size: int, observe: Callable[[bytes], None] = lambda chunk: None
) -> Iterator[bytes]:
    """Yield up to ``size`` bytes; show each chunk to ``observe`` first."""
    while size and (chunk := file.read(min(size, CHUNK_BYTES))):
        size -= len(chunk)
        observe(chunk)
        yield chunk


def _expect(file: BinaryIO, begin: int, name: str) -> int:
    """Return the size in the header of ``name``."""
    file.seek(begin)
    block = file.read(BLOCK)
    if name == MANIFEST and not block.startswith(MANIFEST.encode() + b"\0"):
        raise Foreign
    try:
        size = tarfile.TarInfo.frombuf(block, "utf-8", "strict").size
    except (tarfile.HeaderError, ValueError):
        raise Malformed from None
    if size < 0 or block != header(name, size):
        raise Malformed
    return size


def _expect_zeros(file: BinaryIO, begin: int, end: int) -> None:
    file.seek(begin)
    if file.read(end - begin) != bytes(end - begin):
        raise Malformed
