"""Events on disk until Orbit has them.

One folder per Orbit and account. Each process appends to a file of its own, in one write per event,
and holds its lock (flock) meanwhile; the kernel gives it back however the process ends. A process
that gets the lock of a file may send and remove it. So no event is lost between two senders, and
what is sent twice has the same id.
"""

import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import notes

#: A file is closed and may be sent from this size on.
SEGMENT_BYTES = 1 << 20
#: Of a folder. Then the oldest events go.
LIMIT_BYTES = 64 << 20
ASIDE = "rejected.jsonl"
_SUFFIX = ".ndjson"
_MAX_ASIDE = 1 << 20


@dataclass
class Segment:
    """A file whose lock we hold."""

    path: Path
    number: int

    def lines(self) -> list[bytes]:
        """Return its events. A line that was being written at a crash is none."""
        with os.fdopen(os.dup(self.number), "rb") as file:
            file.seek(0)
            return [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]

    def remove(self) -> None:
        """Delete it and give the lock back."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Leave it to others."""
        with suppress(OSError):
            os.close(self.number)


class Spool:
    """The files of one folder, and the one that this process writes."""

    def __init__(
        self, roots: Iterable[Path], folder: str, *, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._roots, self._name, self._limit = list(roots), folder, limit_bytes
        self.folder: Path | None = None
        self._file: Segment | None = None
        self._size = 0
        self._lock = threading.RLock()

    def append(self, line: bytes) -> bool:
        """Write an event; return whether it is on disk. Raises nothing."""
        with self._lock:
            try:
                if self._file is None:
                    self._open()
                return self._write(line)
            except OSError as error:
                notes.once("spool", f"can't keep events on disk: {error}.")
                return False

    def rotate(self) -> None:
        """Let go of the file that this process writes, so that it can be sent."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def after_fork(self) -> None:
        """In a child: leave the parent's file to the parent."""
        self._lock = threading.RLock()
        self.rotate()

    def is_waiting(self) -> bool:
        """Tell whether this process has written events that aren't being sent."""
        return self._file is not None

    def claim(self, *, limit_bytes: int = SEGMENT_BYTES) -> list[Segment]:
        """Return the oldest files that no other process holds, about ``limit_bytes`` of them."""
        claimed: list[Segment] = []
        size = 0
        for path in self.paths():
            if (segment := _claim(path)) is not None:
                claimed.append(segment)
                size += os.fstat(segment.number).st_size
            if size >= limit_bytes or len(claimed) >= 100:
                break
        return claimed

    def paths(self) -> list[Path]:
        """Return the files of the folder, oldest first."""
        folder = self._find()
        if folder is None:
            return []
        with suppress(OSError):
            names = [name for name in os.listdir(folder) if name.endswith(_SUFFIX)]  # noqa: PTH208
            return [folder / name for name in sorted(names)]
        return []

    def set_aside(self, lines: Iterable[bytes]) -> Path | None:
        """Keep events that Orbit rejects, for the author to look at; return the file."""
        folder = self._find()
        if folder is None:
            return None
        path = folder / ASIDE
        with suppress(OSError):
            if path.exists() and path.stat().st_size > _MAX_ASIDE:
                path.replace(path.with_suffix(".old.jsonl"))
            number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(number, "ab") as file:
                file.write(b"".join(lines))
            return path
        return None

    def _write(self, line: bytes) -> bool:
        if self._file is None:
            return False
        try:
            written = os.write(self._file.number, line)
        except OSError:
            written = -1
        if written != len(line):
            if written > 0:
                # Without its end it would spoil the next event.
                os.ftruncate(self._file.number, self._size)
            notes.once("full", "can't keep events on disk: no space, or a limit is reached.")
            return False
        self._size += written
        if self._size >= SEGMENT_BYTES:
            self.rotate()
        return True

    def _open(self) -> None:
        folder = self._find()
        if folder is None:
            raise FileNotFoundError("no folder can be written; name one in ORBIT_TELEMETRY_SPOOL")
        self._make_room()
        for _ in range(5):
            # Names sort by time.
            path = folder / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
            number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            segment = _locked(path, number)
            if segment is not None:
                self._file, self._size = segment, 0
                return
            # Another process has taken the empty file just now.
        raise FileExistsError("the files of the spool are taken by other processes")

    def _find(self) -> Path | None:
        """Return the folder; make it at the first root that takes it."""
        if self.folder is not None and self.folder.is_dir():
            return self.folder
        for root in self._roots:
            with suppress(OSError):
                self.folder = _prepare(root, self._name)
                if os.access(self.folder, os.W_OK | os.X_OK):
                    return self.folder
        self.folder = None
        return None

    def _make_room(self) -> None:
        paths = self.paths()
        sizes = {}
        for path in paths:
            with suppress(OSError):
                sizes[path] = path.stat().st_size
        excess = sum(sizes.values()) + SEGMENT_BYTES - self._limit
        for path in sizes:
            if excess <= 0:
                return
            if (segment := _claim(path)) is not None:
                count = len(segment.lines())
                segment.remove()
                excess -= sizes[path]
                notes.once(
                    "dropped",
                    f"the spool {self.folder} is full ({self._limit >> 20} MB). Its oldest events "
                    f"are dropped, {count} for a start.",
                )


def read(spools: Iterable[Spool]) -> Iterator[tuple[Spool, list[Segment]]]:
    """Yield what can be claimed, until nothing is left. The caller removes or closes each."""
    for spool in spools:
        before: set[Path] = set()
        while claimed := spool.claim():
            names = {segment.path for segment in claimed}
            yield spool, claimed
            if names <= before:
                break  # they were left: nothing is gained by another look
            before = names


def _claim(path: Path) -> Segment | None:
    try:
        number = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    return _locked(path, number)


def _locked(path: Path, number: int) -> Segment | None:
    """Return the file if we get its lock and it is still there."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(number)
        if status.st_nlink and stat.S_ISREG(status.st_mode):
            return Segment(path, number)
    except OSError:
        pass
    os.close(number)
    return None


def _prepare(root: Path, name: str) -> Path:
    """Make our folder in ``root``. Raises OSError, also if another account could look into it."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / name
    if root.stat().st_uid not in {0, os.geteuid()}:
        raise PermissionError(f"{root} belongs to another account")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another account")
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
