"""How long a day of telemetry events takes to drop, as it grows.

``python -m benchmarks.drops MOST`` measures in Orbit's environment and prints JSON.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from benchmarks.testbed import Testbed

LEAST = 10_000
#: Days of each size; they take turns.
ROUNDS = 3
GOAL = 3
# As a table, and then attached: that builds the indexes at once, not row by row.
BUILD = """CREATE TABLE {part} (LIKE telemetry_telemetryevent INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO {part} (id, occurred_at, name, session_id)
SELECT md5('{day}' || i)::uuid, '{day} 00:00Z'::timestamptz + i * interval '1 ms', 'decision', 's'
FROM generate_series(1, {count}) AS i;
ALTER TABLE telemetry_telemetryevent ATTACH PARTITION {part}
FOR VALUES FROM ('{day} 00:00Z') TO ('{end} 00:00Z')"""


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds to drop a day, by its events; and what writers of other days waited."""

    events: list[int]
    milliseconds: list[float]

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
                f"{count:>12,} events {took:>9.1f} ms"
                for count, took in zip(self.events, self.milliseconds, strict=True)
            ),
            f"{'ratio':<19} {self.ratio:>9.2f}      ({met}: at most {GOAL})",
        ]


def measure(testbed: Testbed, *, most: int) -> Result:
    """Measure days of 10,000 events and of ``most``."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.drops", str(most)],
        cwd=testbed.project,
        env=testbed.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return Result(**json.loads(done.stdout))


def main() -> None:
    most = int(sys.argv[1])
    took: dict[int, list[float]] = {LEAST: [], most: []}
    with (
        psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner,
        psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as application,
    ):
        ago = 40
        for _ in range(ROUNDS):
            for count, times in took.items():
                ago += 1
                times.append(_drop(owner, application, ago, count))
    medians = [statistics.median(times) * 1000 for times in took.values()]
    print(json.dumps({"events": list(took), "milliseconds": medians}))


def _drop(
    owner: psycopg.Connection, application: psycopg.Connection, ago: int, count: int
) -> float:
    """Build a day and drop it as the processes do; return the seconds."""
    dates = "SELECT (now() AT TIME ZONE 'UTC')::date - %(ago)s, (now() AT TIME ZONE 'UTC')::date"
    row = owner.execute(dates + " - %(ago)s + 1", {"ago": ago}).fetchone()
    assert row is not None
    day, end = row
    part = f"telemetry_telemetryevent_p{day:%Y%m%d}"
    for statement in BUILD.format(part=part, day=day, end=end, count=count).split(";"):
        owner.execute(statement.encode())
    # Else the drop waits for the disk that the build fills. A plain owner may not ask for it.
    with suppress(psycopg.errors.InsufficientPrivilege):
        owner.execute("CHECKPOINT")
    began = time.perf_counter()
    application.execute("SELECT telemetry_drop_day(%s)", [day])
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
