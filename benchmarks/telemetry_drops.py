"""How long a day of telemetry events takes to drop, as it grows.

``python -m benchmarks.telemetry_drops MOST DATA`` measures in Orbit's environment and prints
JSON; DATA is the server's data folder.
"""

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg

from benchmarks.testbed import Testbed

LEAST = 10_000
#: Days of each size; they take turns.
ROUNDS = 2
GOAL = 3
TABLE = "telemetry_telemetryevent"
WRITES = 20
WRITE = f"INSERT INTO {TABLE} (id, occurred_at, name) VALUES (gen_random_uuid(), now(), 'e')"
# As a table, and then attached: that builds the indexes at once, not row by row.
BUILD = """CREATE TABLE {part}
(LIKE telemetry_telemetryevent INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO {part} (id, occurred_at, name, session_id)
SELECT md5('{day}' || i)::uuid, '{day} 00:00Z'::timestamptz + i * interval '1 ms', 'decision', 's'
FROM generate_series(1, {count}) AS i;
ALTER TABLE telemetry_telemetryevent ATTACH PARTITION {part}
FOR VALUES FROM ('{day} 00:00Z') TO ('{end} 00:00Z')"""


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds to drop a day, by its events; and the longest that a writer waited."""

    events: list[int]
    milliseconds: list[float]
    #: Of these, until the commit: so long other sessions are locked out. Then files are removed.
    locked: list[float]
    waited: list[float]

    @property
    def ratio(self) -> float:
        """The largest day by the smallest."""
        return self.milliseconds[-1] / self.milliseconds[0]

    def lines(self) -> list[str]:
        """Return the result as lines of a table."""
        met = "met" if self.ratio <= GOAL else "MISSED"
        return [
            "",
            f"Dropping a day of telemetry events; medians of {ROUNDS}, with the commit",
            *(
                f"{count:>12,} events {took:>9.1f} ms, of these {locked:.1f} ms until the commit;"
                f" a writer of today waited for {waited:.1f} ms at most"
                for count, took, locked, waited in zip(
                    self.events, self.milliseconds, self.locked, self.waited, strict=True
                )
            ),
            f"{'ratio':<19} {self.ratio:>9.2f}      ({met}: at most {GOAL})",
        ]


def measure(testbed: Testbed, *, most: int) -> Result:
    """Measure days of 10,000 events and of ``most``."""
    done = testbed.measured("telemetry_drops", str(most), str(testbed.server.data))
    return Result(**done)


def main() -> None:
    most, data = int(sys.argv[1]), Path(sys.argv[2])
    took: dict[int, list[tuple[float, float]]] = {LEAST: [], most: []}
    waited = []
    with (
        psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner,
        psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as application,
    ):
        days = iter(range(40, 100))

        def build(count: int) -> date:
            day = _build(owner, next(days), count)
            _forget(owner, data, f"{TABLE}_p{day:%Y%m%d}")
            return day

        for _ in range(ROUNDS):
            for count, times in took.items():
                times.append(_drop(application, build(count)))
        for count in took:
            day = build(count)
            with _writer() as waits:
                _drop(application, day)
            waited.append(max(waits) * 1000)
    whole, locked = (
        [statistics.median(times[part] for times in each) * 1000 for each in took.values()]
        for part in (0, 1)
    )
    result = {"events": list(took), "milliseconds": whole, "locked": locked, "waited": waited}
    print(json.dumps(result))


def _build(owner: psycopg.Connection, ago: int, count: int) -> date:
    row = owner.execute(
        "SELECT (now() AT TIME ZONE 'UTC')::date - %(ago)s,"
        " (now() AT TIME ZONE 'UTC')::date - %(ago)s + 1",
        {"ago": ago},
    ).fetchone()
    assert row is not None
    day, end = row
    names = {"part": f"{TABLE}_p{day:%Y%m%d}", "day": day, "end": end, "count": count}
    for statement in BUILD.format(**names).split(";"):
        owner.execute(statement.encode())
    return day


def _forget(owner: psycopg.Connection, data: Path, part: str) -> None:
    """Take the day out of the machine's memory: one that is 30 days old isn't in there."""
    paths = owner.execute(
        "SELECT pg_relation_filepath(%(part)s::regclass) UNION ALL"
        " SELECT pg_relation_filepath(indexrelid) FROM pg_index"
        " WHERE indrelid = %(part)s::regclass",
        {"part": part},
    ).fetchall()
    for (path,) in paths:
        for file in (data / path).parent.glob(f"{Path(path).name}*"):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _drop(application: psycopg.Connection, day: date) -> tuple[float, float]:
    """Drop a day as the processes do; return the seconds of the try, whole and to the commit."""
    while True:
        began = time.perf_counter()
        with suppress(psycopg.errors.LockNotAvailable):
            with application.transaction():
                application.execute("SELECT telemetry_drop_day(%s)", [day])
                locked = time.perf_counter() - began
            return time.perf_counter() - began, locked


@contextmanager
def _writer() -> Iterator[list[float]]:
    """Write events of today during the block; give the seconds that each took."""
    ended = threading.Event()
    waits: list[float] = []

    def write() -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as writer:
            while not ended.is_set():
                began = time.perf_counter()
                writer.execute(WRITE)
                waits.append(time.perf_counter() - began)

    thread = threading.Thread(target=write)
    thread.start()
    while len(waits) < WRITES:
        time.sleep(0.001)
    waits.clear()
    yield waits
    ended.set()
    thread.join()


if __name__ == "__main__":
    main()
