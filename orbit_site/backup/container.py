"""The file: a tar of ``manifest.json``, ``database.dump`` and ``SHA256SUMS``, so that standard tools can open and check it too.

It is written under another name, flushed to the disk and renamed, so what has the name is whole; after a crash only ``FILE.part`` is
left, which the next backup to that name overwrites. Reading checks every byte before anything is done with one: the sums cover the contents,
and headers and padding must be exactly those that the writer makes.
"""

import fcntl
import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from governance.kernel.errors import Kind, OrbitError

BLOCK, PIECE = tarfile.BLOCKSIZE, 1 << 20
MANIFEST, DUMP, SUMS = "manifest.json", "database.dump", "SHA256SUMS"
LARGEST_MANIFEST = 16 << 20

Told = Callable[[int], None]


class NoBackup(OrbitError):
    """This file is no whole backup."""

    code, kind = "no_backup", Kind.INVALID


class Occupied(OrbitError):
    """A file of this name is there."""

    code, kind = "file_exists", Kind.CONFLICT


class Unwritable(OrbitError):
    """The file can't be written."""

    code, kind = "file_unwritable", Kind.UNAVAILABLE


@dataclass(frozen=True)
class Backup:
    """An open backup whose every byte was checked."""

    manifest: dict[str, Any]
    sha256: str
    size: int
    file: BinaryIO
    begin: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the dump; raises NoBackup behind its last piece when the file isn't what was checked any more."""
        self.file.seek(self.begin)
        digest = hashlib.sha256()
        yield from _read(self.file, self.size, digest.update)
        if digest.hexdigest() != self.sha256:
            raise NoBackup("The file was changed while it was read.")


@contextmanager
def _plain_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"Can't write {path}: {error.strerror}. Nothing is left of it; name a place with room that this user may write to."
        ) from error


def write(path: Path, manifest: dict[str, Any], dump: Iterable[bytes], *, force: bool) -> str:
    """Write a backup to ``path``, readable by its owner alone, and return the dump's SHA-256.

    Raises Occupied where ``path`` exists (``force`` replaces it) or is being written, Unwritable for a folder or disk that takes no more; whatever
    ``dump`` raises comes through. In each case what was written is removed.
    """
    part = path.with_name(f"{path.name}.part")
    with _plain_words(path):
        # One that a crash left behind is used again; a link in its place is not followed.
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "r+b", buffering=0) as file:  # noqa: PTH123 - a buffer would be flushed, and fail, once more at the end
        _take(file, part)
        try:
            refuse_occupied(path, force=force)
            with _plain_words(path):
                os.fchmod(file.fileno(), 0o600)
                file.truncate()
            digest = _fill(path, file, manifest, dump)
            with _plain_words(path):
                os.fsync(file.fileno())
                refuse_occupied(path, force=force)
                part.replace(path)
                _sync_folder(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return digest


def _take(file: FileIO, part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The other one may have ended, and renamed it, since it was opened.
        if os.fstat(file.fileno()).st_ino == part.stat().st_ino:
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise Occupied(f"Another backup is writing {part}.")


def refuse_occupied(path: Path, *, force: bool) -> None:
    """Raise Occupied where ``path`` exists and may not be replaced."""
    if path.is_dir() or (path.exists() and not force):
        raise Occupied(
            f"{path} exists. Name another file{'' if path.is_dir() else ', or give --force to replace it'}."
        )


def _fill(path: Path, file: FileIO, manifest: dict[str, Any], dump: Iterable[bytes]) -> str:
    described = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    digest, size = hashlib.sha256(), 0
    with _plain_words(path):
        _put(file, _member(MANIFEST, described))
        begin = file.tell()
        _put(file, _header(DUMP, 0))
    for piece in dump:
        digest.update(piece)
        size += len(piece)
        with _plain_words(path):
            _put(file, piece)
    with _plain_words(path):
        _put(
            file,
            _padding(size) + _member(SUMS, _sums(described, digest.hexdigest())) + bytes(2 * BLOCK),
        )
        # Only now is its size known.
        file.seek(begin)
        _put(file, _header(DUMP, size))
    return digest.hexdigest()


def _put(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]  # a disk that gets full takes a part first


@contextmanager
def opened(path: Path, *, told: Told = lambda done: None) -> Iterator[Backup]:
    """Open the backup ``path`` after reading all of it; ``told`` hears how many bytes of the dump were read so far.

    Raises NoBackup for a file that can't be read, isn't one, or differs in any byte from what was written.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise NoBackup(f"Can't read {path}: {error.strerror}.") from error
    with file:
        try:
            backup = _checked(path, file, told)
        except OSError as error:
            raise NoBackup(f"Can't read {path}: {error.strerror}.") from error
        yield backup


def _checked(path: Path, file: BinaryIO, told: Told) -> Backup:
    size = _expect(path, file, MANIFEST)
    if size > LARGEST_MANIFEST:
        raise _broken(path)
    described = b"".join(_read(file, size))
    _expect_padding(path, file, size)
    dump_size = _expect(path, file, DUMP)
    begin, digest, done = file.tell(), hashlib.sha256(), 0
    for piece in _read(file, dump_size, digest.update):
        done += len(piece)
        told(done)
    _expect_padding(path, file, dump_size)
    sums = _sums(described, digest.hexdigest())
    if _expect(path, file, SUMS) != len(sums) or b"".join(_read(file, len(sums))) != sums:
        raise _broken(path)
    _expect_padding(path, file, len(sums))
    if file.read(2 * BLOCK + 1) != bytes(2 * BLOCK):
        raise _broken(path)
    return Backup(json.loads(described), digest.hexdigest(), dump_size, file, begin)


def _broken(path: Path) -> NoBackup:
    return NoBackup(
        f"{path} is cut off or was changed: it isn't what was written. Nothing was restored; take another backup."
    )


def _expect(path: Path, file: BinaryIO, name: str) -> int:
    """Read the header of the member ``name`` and return its size."""
    block = file.read(BLOCK)
    if name == MANIFEST and not block.startswith(MANIFEST.encode() + b"\0"):
        raise NoBackup(f"{path} is no backup of Orbit.")
    try:
        size = tarfile.TarInfo.frombuf(block, "utf-8", "strict").size
    except (tarfile.HeaderError, ValueError):
        raise _broken(path) from None
    if size < 0 or block != _header(name, size):
        raise _broken(path)
    return size


def _expect_padding(path: Path, file: BinaryIO, size: int) -> None:
    wanted = _padding(size)
    if file.read(len(wanted)) != wanted:
        raise _broken(path)


def _read(
    file: BinaryIO, size: int, seen: Callable[[bytes], None] = lambda piece: None
) -> Iterator[bytes]:
    """Yield ``size`` bytes, or fewer where the file ends before."""
    while size and (piece := file.read(min(size, PIECE))):
        size -= len(piece)
        seen(piece)
        yield piece


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry.tobuf(tarfile.GNU_FORMAT)


def _member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + _padding(len(content))


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _sums(described: bytes, dump: str) -> bytes:
    return f"{hashlib.sha256(described).hexdigest()}  {MANIFEST}\n{dump}  {DUMP}\n".encode()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
