"""A full disk under the embedded server: first no table can grow, then the server's own log can't.

`up` waits and goes on by itself. The volume is a tmpfs, so mounting it takes root. While the disk
is full, each process logs less than a line per second.
"""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import psycopg

from orbit_site.processes import postgres
from orbit_site.processes.postgres import Server
from tests.chaos.audit import Audit
from tests.chaos.fleet import Late, until
from tests.chaos.testbed import Testbed
from tests.support import ports, project

SIZE = "320m"
FULL_SECONDS = 12.0
GOES_ON = 30.0
OF_UP = re.compile(r"^[a-z ]{12}\S")
LINE = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ (\d+) ")


class Unmountable(Exception):
    """No volume can be mounted here."""


@contextmanager
def volume(folder: Path) -> Iterator[Server]:
    """Copy the project, with ``var`` on a small volume. Yield its embedded server, not yet started.

    Raises Unmountable.
    """
    copy = project.copy(folder / "project")
    copy.var.mkdir(exist_ok=True)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(copy.var)],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unmountable(
            f"no tmpfs can be mounted: {getattr(error, 'stderr', '').strip() or error}"
        ) from None
    try:
        yield postgres.locate(copy.var)
    finally:
        try:
            postgres.stop(copy.var)
        finally:
            subprocess.run(["umount", "-l", str(copy.var)], check=False)


def full(testbed: Testbed) -> None:
    """Fill the volume while cycles run, then free it; everything goes on by itself."""
    names = [f"f{number}" for number in range(60)]
    home = testbed.server.data.parent
    up = testbed.cluster(
        project=home.parent,
        command="up",
        DATABASE_URL="",
        ORBIT_OWNER_DATABASE_URL="",
        PORT=str(ports.free_port()),
    )
    until(lambda: _is_up(testbed, up.log.read_text()), 90, f"up isn't ready: {up.log}")
    testbed.configure(names, testbed.asking_tiers())
    testbed.monitor.start()
    waiting = iter(names)
    for _ in range(10):
        testbed.start(next(waiting))
    for hard in (False, True):
        log_start, began = up.log.stat().st_size, time.monotonic()
        _fill(home / "filler")
        testbed.kills += 1
        while time.monotonic() - began < FULL_SECONDS:
            with suppress(Late):
                testbed.start(next(waiting))
            if hard:
                _next_log(testbed)
            time.sleep(1)
        _check_log(
            testbed,
            up.log.read_bytes()[log_start:].decode(errors="replace"),
            time.monotonic() - began,
        )
        (home / "filler").unlink()
        freed = time.monotonic()
        if not up.alive:
            testbed.violations.append(f"`up` ended: {up.log.read_text()[-400:]}")
            return
        cycle: UUID = until(
            lambda: testbed.start(next(waiting)), GOES_ON, "no trigger is accepted", every=0.5
        )
        testbed.finish(cycle, GOES_ON)
        testbed.recoveries.append(time.monotonic() - freed)
        if testbed.recoveries[-1] > GOES_ON:
            testbed.violations.append(
                f"recovery: {testbed.recoveries[-1]:.0f} s after there was space again"
            )
    testbed.settle(60)
    testbed.violations += Audit(testbed).look()


def _is_up(testbed: Testbed, log: str) -> bool:
    if not testbed.members[-1].alive:
        raise Late(f"up ended: {log[-2000:]}")
    return "ready" in log.lower()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 512)


def _next_log(testbed: Testbed) -> None:
    """Make the server write more than a WAL file holds, so that it needs a new one; it may fail."""
    with (
        suppress(psycopg.Error),
        psycopg.connect(testbed.url, autocommit=True, connect_timeout=2) as connection,
    ):
        connection.execute(
            "SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 17 * 1024 * 1024))"
        )


def _check_log(testbed: Testbed, log: str, seconds: float) -> None:
    """A process may log one line per second."""
    lines: Counter[str] = Counter()
    process = "up"
    for line in log.splitlines():
        # A line without a process belongs to the line before.
        if match := LINE.match(line):
            process = match[1]
        elif OF_UP.match(line):
            process = "up"
        lines[process] += 1
    testbed.notes.append(
        f"log lines while full, by process: {sorted(lines.values(), reverse=True)[:6]}"
        f" in {seconds:.0f} s"
    )
    testbed.violations += [
        f"the process {pid} logged {count} lines in {seconds:.0f} s"
        for pid, count in lines.items()
        if count > seconds
    ]
