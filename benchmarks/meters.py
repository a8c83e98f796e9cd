"""Measures from outside: CPU time, memory, logged statements."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

LOG_PREFIX = "%m|%p|%d|%a|"
_STATEMENT = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC\|\d+\|([^|]*)\|([^|]*)\|"
    r"LOG:  (?:statement|execute [^:]*): (\w+)"
)
#: Not counted: these frame statements or set up a connection.
_FRAMES = {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "DEALLOCATE"}


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds of a program and of PostgreSQL."""

    program: float
    server: float

    def __sub__(self, earlier: "Used") -> "Used":
        return Used(self.program - earlier.program, self.server - earlier.server)


def tree(pid: int) -> list[psutil.Process]:
    """Return the process ``pid`` and its descendants; none if it has ended."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its descendants."""
    total = 0.0
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def proportional_set_bytes(pids: Iterable[int]) -> int:
    """Return the memory, each shared page counted once (Linux)."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    return total


def statements(log: Path, database: str, begin: datetime, end: datetime, *, without: str) -> int:
    """Count statements in ``database``, without those of one application."""
    # The log's times are text with milliseconds, which compares like the times themselves.
    first, last = (
        f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}" for moment in (begin, end)
    )
    count = 0
    with log.open(errors="replace") as lines:
        for line in lines:
            if (
                (match := _STATEMENT.match(line))
                and first <= match[1] <= last
                and match[2] == database
                and match[3] != without
            ):
                count += match[4].upper() not in _FRAMES
    return count
