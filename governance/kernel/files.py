"""Files that Orbit writes: private ones, and ones that are replaced whole. Without Django."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
_OTHERS = 0o077  # the group's and everybody's permissions


def remedy(error: OSError, otherwise: str) -> str:
    """Return what to do about ``error`` of a write: about the disk, or ``otherwise``."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk is full: make room, and run it again."
    if error.errno == errno.EROFS:
        return "The disk is mounted read-only: mount it writable, or move the folder elsewhere."
    return otherwise


def make_private(folder: Path, *subfolders: str) -> None:
    """Create ``folder`` for this account alone, or close it and its files to others.

    Raises OSError. What belongs to another account is left as it is.
    """
    with suppress(FileExistsError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(PRIVATE_FOLDER)
        # A umask may have taken our own permissions too.
        folder.chmod(PRIVATE_FOLDER)
        return
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    _close_to_others(folder)
    for place in (folder, *(folder / name for name in subfolders)):
        # An older release made these by the umask. A link is left to what it points to.
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                named = entry.name in subfolders and entry.is_dir(follow_symlinks=False)
                if named or entry.is_file(follow_symlinks=False):
                    _close_to_others(Path(entry.path))


def open_private(path: Path, mode: str = "w") -> IO[str]:
    """Open a file that only this account can read, from its creation on. Raises OSError."""
    return open(path, mode, encoding="utf-8", opener=private_opener)


def opener_without_wait(name: str, flags: int) -> int:
    """Open ``name`` for `open()`: a pipe without a writer doesn't block it."""
    return os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def private_opener(name: str, flags: int) -> int:
    """Open ``name`` for `open()`: a new file is private, whatever the umask."""
    handle = os.open(name, flags | os.O_CLOEXEC, PRIVATE_FILE)
    if os.geteuid() == 0 and os.fstat(handle).st_size == 0:
        # Root in another account's folder: its owner must be able to use the file later.
        owner = Path(name).parent.stat()
        if os.fstat(handle).st_uid != owner.st_uid:
            os.fchown(handle, owner.st_uid, owner.st_gid)
    return handle


def create_whole(path: Path, content: str) -> None:
    """Create a private file with ``content``, unless it is there. A crash leaves all or nothing.

    Raises OSError.
    """
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open_private(draft, "x") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Of two processes that create it, one wins; both use that one.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


class Draft:
    """A file that takes the place of ``path`` as a whole: a crash leaves the old or the new one.

    It keeps the old one's mode and owner. Its methods raise OSError, the first also if a link or a
    device is in its place: what those lead to isn't ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        old = ensure_replaceable(path)
        self._draft = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._draft, flags, PRIVATE_FILE if old else 0o666)
        self.file: TextIO = os.fdopen(handle, "w", encoding="utf-8")
        if old:
            if os.geteuid() == 0:
                os.fchown(handle, old.st_uid, old.st_gid)
            os.fchmod(handle, stat.S_IMODE(old.st_mode))

    def finish(self) -> None:
        """Write it to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def publish(self) -> None:
        """Give it its name. The name is durable after `sync_folder`."""
        ensure_replaceable(self.path)  # something may have been put there meanwhile
        self._draft.replace(self.path)

    def discard(self) -> None:
        """Remove it, unless it has its name."""
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self._draft.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Give a file that becomes ``path``, durably, at the end of the block. Raises OSError."""
    draft = Draft(path)
    try:
        yield draft.file
        draft.finish()
        draft.publish()
        sync_folder(path.parent)
    finally:
        draft.discard()


def ensure_replaceable(path: Path) -> os.stat_result | None:
    """Return the regular file at ``path``, None without one. Raises OSError for anything else."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISREG(status.st_mode):
        return status
    kind = (
        "a symbolic link"
        if stat.S_ISLNK(status.st_mode)
        else "a folder"
        if stat.S_ISDIR(status.st_mode)
        else "no regular file"
    )
    raise OSError(errno.EEXIST, f"{path} is {kind}, which is not replaced", str(path))


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _close_to_others(path: Path) -> None:
    # Another account's file is its own business, and a read-only disk can't be changed.
    with suppress(OSError):
        if (mode := stat.S_IMODE(path.stat().st_mode)) & _OTHERS:
            path.chmod(mode & ~_OTHERS)
