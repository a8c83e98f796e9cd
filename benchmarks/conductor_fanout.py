"""Fan out a parent into many children, beside a bare ``INSERT .. SELECT`` of the same rows.

The bare statement stores the rows that fan-out made, once more, in the same table with its keys,
indexes and checks; then in copies of it that lack some of them, which tells what they cost.
``python -m benchmarks.conductor_fanout COUNT`` measures both in turn and prints JSON.
"""

import json
import os
import statistics
import sys
import time
from dataclasses import dataclass

import django
import psycopg

from benchmarks.testbed import Testbed

ROUNDS = 3
# `root_run_id` is made by the table.
COLUMNS = """id, run_id, parent_id, index, namespace, name, state, is_parent, ready, priority,
    attempt, max_attempts, input, created_at, state_changed_at"""
KEEP = f"""CREATE UNLOGGED TABLE bench_children AS
SELECT {COLUMNS} FROM orbit_conductortask WHERE parent_id IS NOT NULL ORDER BY id"""
COPY = f"INSERT INTO {{table}} ({COLUMNS}) SELECT {COLUMNS} FROM bench_children"
#: Copies of the table without its foreign keys and triggers. Each lacks more than the one before.
COPIES = {
    "without foreign keys": "LIKE orbit_conductortask INCLUDING ALL",
    "with its primary key alone": "LIKE orbit_conductortask INCLUDING ALL EXCLUDING INDEXES, "
    "PRIMARY KEY (id)",
    "without any index": "LIKE orbit_conductortask INCLUDING ALL EXCLUDING INDEXES",
}
SAME = "into the same table"


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds by round: of the fan-out, and of the bare statement by its table."""

    children: int
    orbit: list[float]
    bare: dict[str, list[float]]

    @property
    def ratio(self) -> float:
        """The median of the bare statement's time by fan-out's, round by round."""
        pairs = zip(self.orbit, self.bare[SAME], strict=True)
        return statistics.median(bare / orbit for orbit, bare in pairs)

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        orbit = statistics.median(self.orbit)
        lines = [
            "",
            f"Conductor: fan-out of {self.children:,} children, beside a bare INSERT .. SELECT of "
            f"the same rows; medians of {len(self.orbit)} rounds in turn",
            f"{'fan-out':<40}{orbit:>7.1f} s   {self.children / orbit:>9,.0f} children/s",
        ]
        for table, seconds in self.bare.items():
            took = statistics.median(seconds)
            lines.append(
                f"{'bare, ' + table:<40}{took:>7.1f} s   {self.children / took:>9,.0f} rows/s"
            )
        met = "goal met" if self.ratio >= 0.5 else "GOAL MISSED"
        return [*lines, f"{'ratio':<40}{self.ratio:>7.2f}     ({met}: at least 0.5)"]


def measure(testbed: Testbed, *, children: int) -> Result:
    """Measure a fan-out into ``children`` in each of some rounds."""
    with testbed.watch("orbit", owner=True) as connection:
        connection.execute("GRANT pg_checkpoint TO orbit_owner")
    done = testbed.measured("conductor_fanout", str(children))
    return Result(children, **done)


def main() -> None:
    django.setup()
    count = int(sys.argv[1])
    orbit: list[float] = []
    bare: dict[str, list[float]] = {name: [] for name in (SAME, *COPIES)}
    with psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        for _ in range(ROUNDS):
            orbit.append(_fan_out(owner, count))
            owner.execute("DROP TABLE IF EXISTS bench_children")
            owner.execute(KEEP)
            bare[SAME].append(_again(owner))
            for name, definition in COPIES.items():
                owner.execute("DROP TABLE IF EXISTS bench_copy")
                owner.execute(f"CREATE TABLE bench_copy ({definition})")
                bare[name].append(_copy(owner, "bench_copy"))
        owner.execute("DROP TABLE bench_children, bench_copy")
        owner.execute("TRUNCATE orbit_conductorrun, orbit_conductortally CASCADE")
    print(json.dumps({"orbit": orbit, "bare": bare}))


def _fan_out(owner: psycopg.Connection, count: int) -> float:
    """Fan out through Orbit; return the seconds."""
    from governance.access.actors import SYSTEM
    from orbit.conductor import create, fanout

    owner.execute("TRUNCATE orbit_conductorrun, orbit_conductortally CASCADE")
    create.create(
        {"name": "bench", "tasks": [{"name": "P", "input": {"fanout": count}}]}, actor=SYSTEM
    )
    owner.execute("CHECKPOINT")
    began = time.perf_counter()
    made = 0
    while done := fanout.run_fanout_once().children:
        made += done
    took = time.perf_counter() - began
    if made != count:
        raise RuntimeError(f"{made} of {count} children were made")
    return took


def _again(owner: psycopg.Connection) -> float:
    """Store the same children with a bare statement, in an empty table; return the seconds."""
    owner.execute(
        f"CREATE TEMPORARY TABLE roots AS SELECT {COLUMNS} FROM orbit_conductortask"
        " WHERE parent_id IS NULL"
    )
    owner.execute("TRUNCATE orbit_conductortask CASCADE")
    owner.execute(f"INSERT INTO orbit_conductortask ({COLUMNS}) SELECT {COLUMNS} FROM roots")
    owner.execute("DROP TABLE roots")
    return _copy(owner, "orbit_conductortask")


def _copy(owner: psycopg.Connection, table: str) -> float:
    owner.execute("CHECKPOINT")
    began = time.perf_counter()
    owner.execute(COPY.format(table=table))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
