"""The backup file: a tar of ``manifest.json``, ``database.dump`` and ``SHA256SUMS``.

It is written as ``FILE.part``, flushed and renamed, so a file with the final name is complete.
Reading checks every byte before any is used.
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

BLOCK, CHUNK_BYTES = tarfile.BLOCKSIZE, 1 << 20
MANIFEST, DUMP, SUMS = "manifest.json", "database.dump", "SHA256SUMS"
LARGEST_MANIFEST = 16 << 20

#: Called with the number of bytes of the dump that are done.
Progress = Callable[[int], None]


class NoBackup(OrbitError):
    """The file is no complete backup."""

    code, kind = "no_backup", Kind.INVALID


class Occupied(OrbitError):
    """The file exists."""

    code, kind = "file_exists", Kind.CONFLICT


class Unwritable(OrbitError):
    """The file can't be written."""

    code, kind = "file_unwritable", Kind.UNAVAILABLE


@dataclass(frozen=True)
class Backup:
    """An open, checked backup file."""

    manifest: dict[str, Any]
    sha256: str
    size: int
    file: BinaryIO
    begin: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the dump. Raises NoBackup at the end if the file has changed."""
        self.file.seek(self.begin)
        digest = hashlib.sha256()
        yield from _read(self.file, self.size, digest.update)
        if digest.hexdigest() != self.sha256:
            raise NoBackup("The file was changed while it was read.")


@contextmanager
def _explain_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"Can't write {path}: {error.strerror}. Nothing is left of it. "
            "Choose a folder with room that this user may write to."
        ) from error


def write(path: Path, manifest: dict[str, Any], dump: Iterable[bytes], *, force: bool) -> str:
    """Write a backup to ``path`` and return the dump's SHA-256.

    Raises Occupied, Unwritable, or what ``dump`` raises; then no file is left.
    """
    part = path.with_name(f"{path.name}.part")
    with _explain_os_errors(path):
        # Reuse one that a crash left; don't follow a link in its place.
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "r+b", buffering=0) as file:  # noqa: PTH123 - unbuffered: a buffer would fail again at close
        _lock(file, part)
        try:
            refuse_occupied(path, force=force)
            # A crash may have left the file, with other contents and mode.
            with _explain_os_errors(path):
                os.fchmod(file.fileno(), 0o600)
                file.truncate()
            digest = _fill(path, file, manifest, dump)
            with _explain_os_errors(path):
                os.fsync(file.fileno())
                refuse_occupied(path, force=force)
                part.replace(path)
                _sync_folder(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return digest


def _lock(file: FileIO, part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another backup may have finished and renamed it since we opened it.
        if os.fstat(file.fileno()).st_ino == part.stat().st_ino:
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise Occupied(f"Another backup is writing {part}.")


def refuse_occupied(path: Path, *, force: bool) -> None:
    """Raise Occupied if ``path`` may not be written."""
    if path.is_dir():
        raise Occupied(f"{path} is a folder. Choose another name.")
    if path.exists() and not force:
        raise Occupied(f"{path} exists. Choose another name, or replace it with --force.")


def _fill(path: Path, file: FileIO, manifest: dict[str, Any], dump: Iterable[bytes]) -> str:
    document = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    digest, size = hashlib.sha256(), 0
    with _explain_os_errors(path):
        _write_all(file, _member(MANIFEST, document))
        begin = file.tell()
        _write_all(file, _header(DUMP, 0))
    for chunk in dump:
        digest.update(chunk)
        size += len(chunk)
        with _explain_os_errors(path):
            _write_all(file, chunk)
    with _explain_os_errors(path):
        _write_all(
            file,
            bytes(-size % BLOCK)
            + _member(SUMS, _sums(document, digest.hexdigest()))
            + bytes(2 * BLOCK),
        )
        # The size of the dump is known only now.
        file.seek(begin)
        _write_all(file, _header(DUMP, size))
    return digest.hexdigest()


def _write_all(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]  # a disk that fills up takes a part


@contextmanager
def opened(path: Path, *, progress: Progress = lambda done: None) -> Iterator[Backup]:
    """Check the whole backup, then open it. Raises NoBackup."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise NoBackup(f"Can't read {path}: {error.strerror}.") from error
    with file:
        try:
            backup = _check(path, file, progress)
        except OSError as error:
            raise NoBackup(f"Can't read {path}: {error.strerror}.") from error
        yield backup


def _check(path: Path, file: BinaryIO, progress: Progress) -> Backup:
    size = _expect(path, file, MANIFEST)
    if size > LARGEST_MANIFEST:
        raise _broken(path)
    document = b"".join(_read(file, size))
    _expect_padding(path, file, size)
    dump_size = _expect(path, file, DUMP)
    begin, digest, done = file.tell(), hashlib.sha256(), 0
    for chunk in _read(file, dump_size, digest.update):
        done += len(chunk)
        progress(done)
    _expect_padding(path, file, dump_size)
    sums = _sums(document, digest.hexdigest())
    if _expect(path, file, SUMS) != len(sums) or b"".join(_read(file, len(sums))) != sums:
        raise _broken(path)
    _expect_padding(path, file, len(sums))
    if file.read(2 * BLOCK + 1) != bytes(2 * BLOCK):
        raise _broken(path)
    return Backup(json.loads(document), digest.hexdigest(), dump_size, file, begin)


def _broken(path: Path) -> NoBackup:
    return NoBackup(f"{path} is cut off or was changed. Nothing was restored; use another backup.")


def _expect(path: Path, file: BinaryIO, name: str) -> int:
    """Read the header of ``name`` and return its size."""
    block = file.read(BLOCK)
    if name == MANIFEST and not block.startswith(MANIFEST.encode() + b"\0"):
        raise NoBackup(f"{path} is not a backup of Orbit.")
    try:
        size = tarfile.TarInfo.frombuf(block, "utf-8", "strict").size
    except (tarfile.HeaderError, ValueError):
        raise _broken(path) from None
    # A header has many spellings; accept only the one that we write.
    if size < 0 or block != _header(name, size):
        raise _broken(path)
    return size


def _expect_padding(path: Path, file: BinaryIO, size: int) -> None:
    padding = bytes(-size % BLOCK)
    if file.read(len(padding)) != padding:
        raise _broken(path)


def _read(
    file: BinaryIO, size: int, observe: Callable[[bytes], None] = lambda chunk: None
) -> Iterator[bytes]:
    while size and (chunk := file.read(min(size, CHUNK_BYTES))):
        size -= len(chunk)
        observe(chunk)
        yield chunk


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)  # alone it would accept changed padding and checksum fields
    entry.size, entry.mode = size, 0o600
    return entry.tobuf(tarfile.GNU_FORMAT)


def _member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % BLOCK)


def _sums(document: bytes, dump: str) -> bytes:
    return f"{hashlib.sha256(document).hexdigest()}  {MANIFEST}\n{dump}  {DUMP}\n".encode()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
