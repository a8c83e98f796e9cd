"""A full disk under the embedded server: first no table can grow, then the log of the server itself can't; `up` stands by and needs no hand.

The volume is a tmpfs, so it takes root to mount one. While the disk is full, what Orbit says stays below a line a second for each process.
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
from tests.chaos.stand import Stand
from tests.support import project

SIZE = "320m"
FULL_SECONDS = 12.0
GOES_ON = 30.0
OF_UP = re.compile(r"^[a-z ]{12}\S")
LINE = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ (\d+) ")


class Unmountable(Exception):
    """No volume can be made here."""


@contextmanager
def volume(folder: Path) -> Iterator[Server]:
    """A copy of the project whose ``var`` is a small volume of its own; its embedded server, which isn't running yet. Raises Unmountable."""
    made = project.copy(folder / "project")
    made.var.mkdir(exist_ok=True)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(made.var)],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unmountable(
            f"no tmpfs can be mounted: {getattr(error, 'stderr', '').strip() or error}"
        ) from None
    try:
        yield postgres.locate(made.var)
    finally:
        try:
            postgres.stop(made.var)
        finally:
            subprocess.run(["umount", "-l", str(made.var)], check=False)


def full(stand: Stand) -> None:
    """Fill the volume while cycles run, let the server stumble over it, free the space, and see that all goes on by itself."""
    names = [f"f{number}" for number in range(60)]
    home = stand.server.data.parent
    up = stand.cluster(
        project=home.parent,
        command="up",
        DATABASE_URL="",
        ORBIT_OWNER_DATABASE_URL="",
        PORT=str(project.free_port()),
    )
    until(lambda: _up(stand, up.log.read_text()), 90, f"up isn't ready: {up.log}")
    stand.configure(names, stand.asking_tiers())
    stand.monitor.start()
    waiting = iter(names)
    for _ in range(10):
        stand.start(next(waiting))
    for hard in (False, True):
        said, began = up.log.stat().st_size, time.monotonic()
        _fill(home / "filler")
        stand.kills += 1
        while time.monotonic() - began < FULL_SECONDS:
            with suppress(Late):
                stand.start(next(waiting))
            if hard:
                _next_log(stand)
            time.sleep(1)
        _quiet(stand, up.log.read_bytes()[said:].decode(errors="replace"), time.monotonic() - began)
        (home / "filler").unlink()
        freed = time.monotonic()
        if not up.alive:
            stand.violations.append(f"`up` ended: {up.log.read_text()[-400:]}")
            return
        cycle: UUID = until(
            lambda: stand.start(next(waiting)), GOES_ON, "no trigger is accepted", every=0.5
        )
        stand.finish(cycle, GOES_ON)
        stand.recoveries.append(time.monotonic() - freed)
        if stand.recoveries[-1] > GOES_ON:
            stand.violations.append(
                f"recovery: {stand.recoveries[-1]:.0f} s after there was space again"
            )
    stand.settle(60)
    stand.violations += Audit(stand).look()


def _up(stand: Stand, said: str) -> bool:
    if not stand.members[-1].alive:
        raise Late(f"up ended: {said[-2000:]}")
    return "ready" in said.lower()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 512)


def _next_log(stand: Stand) -> None:
    """Have the server want a new file for its log; whether it gets one is its affair."""
    with (
        suppress(psycopg.Error),
        psycopg.connect(stand.url, autocommit=True, connect_timeout=2) as connection,
    ):
        connection.execute("SELECT pg_switch_wal()")


def _quiet(stand: Stand, said: str, seconds: float) -> None:
    """Hold what was logged against a line a second for each process."""
    lines: Counter[str] = Counter()
    who = "up"
    for line in said.splitlines():
        # A line that doesn't say whose it is goes on with the one before.
        who = found[1] if (found := LINE.match(line)) else "up" if OF_UP.match(line) else who
        lines[who] += 1
    stand.notes.append(
        f"log lines while full, by process: {sorted(lines.values(), reverse=True)[:6]} in {seconds:.0f} s"
    )
    stand.violations += [
        f"the process {pid} logged {count} lines in {seconds:.0f} s"
        for pid, count in lines.items()
        if count > seconds
    ]
