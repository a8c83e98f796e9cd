"""The backup file: a tar of ``manifest.json``, ``database.dump``, ``SHA256SUMS``; a signature.

It is written as ``FILE.part``, flushed and renamed, so a file with the final name is complete.
Reading checks the signature first, then every byte before any is used.
"""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings

from governance.kernel import files, strict_json
from governance.kernel.errors import Kind, OrbitError
from orbit_site.backup import layout, signature
from orbit_site.backup.layout import DUMP, END, MANIFEST, SUMS
from orbit_site.backup.signature import Origin

#: Called with the number of bytes of the dump that are done.
Progress = Callable[[int], None]


class NoBackup(OrbitError):
    """The file is no complete backup."""

    code, kind = "no_backup", Kind.INVALID


class Untrusted(NoBackup):
    """No key of this installation signed the backup."""

    code, kind = "backup_untrusted", Kind.CONFLICT


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
    signed: bool
    file: BinaryIO
    begin: int
    checked: list[bytes]  # the digest of the dump up to the end of each chunk

    def chunks(self) -> Iterator[bytes]:
        """Yield the dump. Raises NoBackup before a byte that has changed since the check."""
        self.file.seek(self.begin)
        digest, number = hashlib.sha256(), 0
        for chunk in layout.read(self.file, self.size, digest.update):
            if number >= len(self.checked) or digest.digest() != self.checked[number]:
                raise NoBackup("The file was changed while it was read.")
            number += 1
            yield chunk
        if number != len(self.checked):
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
    if path.exists() and not path.is_file():
        raise Occupied(f"{path} is no regular file. Choose another name.")
    if path.exists() and not force:
        raise Occupied(f"{path} exists. Choose another name, or replace it with --force.")


def _fill(path: Path, file: FileIO, manifest: dict[str, Any], dump: Iterable[bytes]) -> str:
    document = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    digest, size = hashlib.sha256(), 0
    with _explain_os_errors(path):
        _write_all(file, layout.member(MANIFEST, document))
        begin = file.tell()
        _write_all(file, layout.header(DUMP, 0))
    for chunk in dump:
        digest.update(chunk)
        size += len(chunk)
        with _explain_os_errors(path):
            _write_all(file, chunk)
    sums = layout.sums(layout.digest(document), digest.hexdigest())
    with _explain_os_errors(path):
        _write_all(
            file,
            layout.padding(size) + layout.member(SUMS, sums) + END + signature.sign(sums),
        )
        # The size of the dump is known only now.
        file.seek(begin)
        _write_all(file, layout.header(DUMP, size))
    return digest.hexdigest()


def _write_all(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]  # a disk that fills up takes a part


@contextmanager
def opened(
    path: Path, *, unsigned: bool = False, progress: Progress = lambda done: None
) -> Iterator[Backup]:
    """Check the whole backup, then open it.

    Raises NoBackup; Untrusted, unless it may be ``unsigned``.
    """
    try:
        file = open(path, "rb", opener=files.opener_without_wait)  # noqa: SIM115 - closed below
    except OSError as error:
        raise NoBackup(f"Can't read {path}: {error.strerror}.") from error
    with file:
        try:
            backup = _check(path, file, unsigned, progress)
        except OSError as error:
            raise NoBackup(f"Can't read {path}: {error.strerror}.") from error
        yield backup


def _check(path: Path, file: BinaryIO, unsigned: bool, progress: Progress) -> Backup:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise NoBackup(f"{path} is no regular file. Save it to one, and restore that.")
    try:
        parts = layout.locate(file, status.st_size)
        expected = parts.digests()
    except layout.Foreign:
        raise NoBackup(f"{path} is not a backup of Orbit.") from None
    except layout.Malformed:
        raise _broken(path) from None
    # First: neither manifest nor dump is looked at before it is known who made them.
    origin = signature.origin(parts.signature, parts.sums)
    if origin is not Origin.OURS and not unsigned:
        raise _untrusted(path, origin)
    file.seek(parts.manifest_begin)
    document = b"".join(layout.read(file, parts.manifest_size))
    digest, checked, done = hashlib.sha256(), [], 0
    file.seek(parts.dump_begin)
    for chunk in layout.read(file, parts.dump_size, digest.update):
        checked.append(digest.digest())
        done += len(chunk)
        progress(done)
    if (layout.digest(document), digest.hexdigest()) != expected:
        raise _broken(path)
    return Backup(
        manifest=_parse(path, document),
        sha256=digest.hexdigest(),
        size=parts.dump_size,
        signed=origin is Origin.OURS,
        file=file,
        begin=parts.dump_begin,
        checked=checked,
    )


def _parse(path: Path, document: bytes) -> dict[str, Any]:
    try:
        manifest = strict_json.loads(document, max_depth=3)
    except strict_json.StrictJsonError as error:
        raise NoBackup(f"{path}: {MANIFEST} can't be read: {error.detail}") from None
    if not isinstance(manifest, dict):
        raise NoBackup(f"{path}: {MANIFEST} is no object.")
    return manifest


def _broken(path: Path) -> NoBackup:
    return NoBackup(f"{path} is cut off or was changed. Nothing was restored; use another backup.")


def _untrusted(path: Path, origin: Origin) -> NoBackup:
    if origin is Origin.CHANGED:
        return _broken(path)
    anyway = (
        "A restore runs what the file says: use --unsigned only if you trust everyone who could "
        "write to it. Nothing was restored."
    )
    if origin is Origin.UNSIGNED:
        return Untrusted(
            f"{path} isn't signed: it was made by a release that signed nothing, or by something "
            f"else than Orbit. {anyway}"
        )
    bring = (
        "Add that installation's ORBIT_ENCRYPTION_KEYS behind your own; if none is set there, "
        "docs/operations.md (Restore) says how to print its key"
    )
    if settings.ORBIT_KEYS_ARE_DERIVED:
        bring = (
            "Set ORBIT_ENCRYPTION_KEYS as it is there; if it isn't set there, copy its "
            "ORBIT_SECRET_KEY or its file var/secret-key"
        )
    return Untrusted(
        f"{path} was signed with a key of another installation. {bring}: that also opens the "
        f"secrets of its endpoints. {anyway}"
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
