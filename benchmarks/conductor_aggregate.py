"""What a finished child costs in a run of 1,000 children and in one of many.

Children are claimed, completed and added up by Orbit's code, fifty a call: all of the small run,
and of the large one the first thousands and the last thousand, which ends its parent and the run.
``python -m benchmarks.conductor_aggregate COUNT`` measures PostgreSQL's CPU time and prints JSON.
"""

import json
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import django
import psycopg

from benchmarks.testbed import Testbed

SMALL, BATCH, ROUNDS = 1_000, 50, 5
GOAL = 2
PARTS = ("claim", "complete", "aggregate")
# All but the last thousand, at once. The check of transitions is off: they weren't RUNNING.
FINISH = f"""UPDATE orbit_conductortask SET state = 'SUCCEEDED', ready = false, finished_at = now()
WHERE parent_id = %s AND state = 'PENDING' AND index <= %s - {SMALL}"""


@dataclass(frozen=True, slots=True)
class Result:
    """Microseconds of CPU time of a child by round, by part; ``cases`` by what was measured."""

    children: int
    cases: dict[str, list[dict[str, float]]]

    def took(self, case: str, *parts: str) -> float:
        """Return the median of these parts of a case."""
        return statistics.median(sum(one[part] for part in parts) for one in self.cases[case])

    def ratio(self, case: str) -> float:
        """Return complete and aggregate of a case by that of the small run."""
        parts = ("complete", "aggregate")
        return self.took(case, *parts) / self.took("small", *parts)

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        names = {
            "small": f"of a run of {SMALL:,}",
            "first": f"the first of a run of {self.children:,}",
            "last": f"the last of a run of {self.children:,}",
        }
        lines = [
            "",
            "Conductor: PostgreSQL's CPU time for a finished child, in microseconds "
            f"({BATCH} a call; medians of {ROUNDS} times {SMALL:,}, of the last of one)",
            f"{'':<34}{'claim':>8}{'complete':>10}{'aggregate':>11}",
        ]
        for case, name in names.items():
            claim, complete, aggregate = (self.took(case, part) for part in PARTS)
            ratio, met = self.ratio(case), "goal met" if self.ratio(case) <= GOAL else "GOAL MISSED"
            lines.append(
                f"{name:<34}{claim:>8.0f}{complete:>10.0f}{aggregate:>11.0f}"
                + (f"   ratio {ratio:.2f} ({met}: at most {GOAL})" if case != "small" else "")
            )
        return lines


def measure(testbed: Testbed, *, children: int) -> Result:
    """Measure in runs of 1,000 and of ``children``."""
    done = testbed.measured("conductor_aggregate", str(children))
    return Result(children, done)


def main() -> None:
    django.setup()
    count = int(sys.argv[1])
    cases: dict[str, list[dict[str, float]]] = {"small": [], "first": [], "last": []}
    with psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        _empty(owner)
        large = _create(count)
        owner.execute("VACUUM ANALYZE orbit_conductortask")
        for _ in range(ROUNDS):
            cases["small"].append(_finish(_create(SMALL)))
            cases["first"].append(_finish(large))
        _finish_all_but_the_last(owner, large, count)
        cases["last"].append(_finish(large))
        _check(large)
        _empty(owner)
    print(json.dumps(cases))


def _empty(owner: psycopg.Connection) -> None:
    owner.execute("TRUNCATE orbit_conductorrun, orbit_conductortally CASCADE")
    owner.execute("TRUNCATE telemetry_outboxevent")


def _create(children: int) -> str:
    """Create a run with a parent that has all its children; return the run's id."""
    from governance.access.actors import SYSTEM
    from orbit.conductor import create, fanout

    task = {"name": "P", "input": {"fanout": children}}
    created = create.create({"name": "bench", "tasks": [task]}, actor=SYSTEM)
    while fanout.run_fanout_once().did_something:
        pass
    return created.id


def _finish(run_id: str) -> dict[str, float]:
    """Finish 1,000 tasks of a run; return the microseconds of one by part."""
    from governance.access.actors import SYSTEM
    from orbit.conductor import aggregate, fenced, leases
    from orbit.conductor.fenced import Held

    spent = dict.fromkeys(PARTS, 0.0)
    for _ in range(SMALL // BATCH):
        with _measured(spent, "claim"):
            claimed = leases.claim(SYSTEM, "w", BATCH, 60, run_id=run_id)
        held = [Held(task.id, task.lease_token) for task in claimed]
        with _measured(spent, "complete"):
            results = fenced.complete(held, [1] * len(held), actor=SYSTEM)
        if sum(result.error is None for result in results) != BATCH:
            raise RuntimeError(f"{results} instead of {BATCH} tasks that are completed")
        with _measured(spent, "aggregate"):
            aggregate.run_aggregate_once()
    return {part: seconds * 1e6 / SMALL for part, seconds in spent.items()}


@contextmanager
def _measured(spent: dict[str, float], part: str) -> Iterator[None]:
    """Add the CPU seconds of our server process to ``spent[part]``."""
    from django.db import connection

    connection.ensure_connection()
    # In nanoseconds: a call takes less than a tick of the other clocks.
    clock = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    before = int(clock.read_text().split()[0])
    yield
    spent[part] += (int(clock.read_text().split()[0]) - before) / 1e9


def _finish_all_but_the_last(owner: psycopg.Connection, run_id: str, count: int) -> None:
    from orbit.conductor import aggregate
    from orbit.models import ConductorTask

    parent = ConductorTask.objects.get(run=run_id, parent=None).pk
    owner.execute("ALTER TABLE orbit_conductortask DISABLE TRIGGER check_transition")
    owner.execute(FINISH, [parent, count])
    owner.execute("ALTER TABLE orbit_conductortask ENABLE ALWAYS TRIGGER check_transition")
    owner.execute("VACUUM ANALYZE orbit_conductortask")
    aggregate.run_to_end()


def _check(run_id: str) -> None:
    from orbit.models import ConductorRun

    state = ConductorRun.objects.get(pk=run_id).state
    if state != "SUCCEEDED":
        raise RuntimeError(f"the run is {state} although all its tasks are finished")


if __name__ == "__main__":
    main()
