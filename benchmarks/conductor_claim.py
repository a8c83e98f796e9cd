"""Claim and complete conductor tasks by 16 workers, beside a bare SKIP LOCKED loop.

The bare loop does the same writes: the same table with its triggers, the same events in the outbox.
``python -m benchmarks.conductor_claim COUNT`` measures both in turn and prints JSON.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import django
import psycopg

from benchmarks.testbed import Testbed

WORKERS, BATCH, ROUNDS = 16, 50, 3
RUN = "01K00000000000000000000000"
ADD_RUN = f"""INSERT INTO orbit_conductorrun (
    id, name, namespace, state, created_by, pending, open_roots)
VALUES ('{RUN}', 'bench', 'default', 'PENDING', 'bench', %(count)s, %(count)s)"""
ADD_TASKS = f"""INSERT INTO orbit_conductortask (
    id, run_id, index, namespace, name, state, ready, input)
SELECT '01K1' || lpad(i::text, 22, '0'), '{RUN}', i, 'default', 't' || i, 'PENDING', true,
    '{{"x": 1}}'
FROM generate_series(1, %(count)s) AS i"""
DONE_ONCE = """SELECT count(*)
FROM orbit_conductortask t
JOIN (
    SELECT task_id FROM telemetry_outboxevent
    GROUP BY task_id
    HAVING count(*) FILTER (WHERE name = 'task_start') = 1
        AND count(*) FILTER (WHERE name = 'task_end') = 1
) e ON e.task_id = t.id
WHERE t.state = 'SUCCEEDED' AND t.attempt = 1"""
EVENT = """event AS (
    INSERT INTO telemetry_outboxevent (
        id, occurred_at, name, namespace, session_id, task_id, metadata)
    SELECT gen_random_uuid(), clock_timestamp(), $1, namespace, run_id, id, '{"title": "t"}'
    FROM moved
)"""
BARE_CLAIM = f"""WITH picked AS (
    SELECT id FROM orbit_conductortask
    WHERE ready AND namespace = 'default'
    ORDER BY priority DESC, id
    LIMIT {BATCH}
    FOR UPDATE SKIP LOCKED
),
moved AS (
    UPDATE orbit_conductortask SET state = 'RUNNING', ready = false, attempt = attempt + 1,
        lease_token = gen_random_uuid(), lease_expires_at = now() + interval '60 s', worker = 'w'
    WHERE id = ANY(ARRAY(SELECT id FROM picked))
    RETURNING id, run_id, namespace, input::text, lease_token
),
{EVENT}
SELECT id, input, lease_token FROM moved"""
BARE_COMPLETE = f"""WITH moved AS (
    UPDATE orbit_conductortask t SET state = 'SUCCEEDED', output = '1', lease_token = NULL,
        lease_expires_at = NULL, finished_at = now()
    FROM unnest($2::text[], $3::uuid[]) AS g(id, token)
    WHERE t.id = g.id AND t.lease_token = g.token
    RETURNING t.id, t.run_id, t.namespace
),
{EVENT}
SELECT id FROM moved"""


@dataclass(frozen=True, slots=True)
class Result:
    """Tasks a second, by round."""

    orbit: list[float]
    bare: list[float]

    @property
    def ratio(self) -> float:
        """The median of Orbit by the bare loop, round by round."""
        pairs = zip(self.orbit, self.bare, strict=True)
        return statistics.median(orbit / bare for orbit, bare in pairs)

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        met = "goal met" if self.ratio >= 0.5 else "GOAL MISSED"
        return [
            "",
            f"Conductor: claim and complete, {WORKERS} workers, {BATCH} a call: "
            f"{statistics.median(self.orbit):,.0f} tasks/s, bare loop "
            f"{statistics.median(self.bare):,.0f}, ratio {self.ratio:.2f} ({met}: at least 0.5); "
            "no task twice",
        ]


def measure(testbed: Testbed, *, tasks: int) -> Result:
    """Measure ``tasks`` tasks in each of some rounds."""
    done = testbed.measured("conductor_claim", str(tasks))
    return Result(**done)


def main() -> None:
    django.setup()
    count = int(sys.argv[1])
    url = os.environ["ORBIT_OWNER_DATABASE_URL"]
    took: dict[str, list[float]] = {"orbit": [], "bare": []}
    for _ in range(ROUNDS):
        for name, worker in (("orbit", _orbit_worker), ("bare", _bare_worker)):
            _fill(url, count)
            began = time.perf_counter()
            with ThreadPoolExecutor(WORKERS) as pool:
                done = list(pool.map(worker, range(WORKERS)))
            took[name].append(count / (time.perf_counter() - began))
            once = _done_once(url)
            if sum(done) != count or once != count:
                raise RuntimeError(f"{name}: {sum(done)} of {count} tasks done, {once} once")
    print(json.dumps(took))


def _fill(url: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("TRUNCATE orbit_conductorrun, orbit_conductortally CASCADE")
        owner.execute("TRUNCATE telemetry_outboxevent")
        owner.execute(ADD_RUN, {"count": count})
        owner.execute(ADD_TASKS, {"count": count})
        owner.execute("VACUUM ANALYZE orbit_conductortask")


def _done_once(url: str) -> int:
    """Return how many tasks were claimed once and completed once."""
    with psycopg.connect(url) as owner:
        row = owner.execute(DONE_ONCE).fetchone()
    return row[0] if row else 0


def _orbit_worker(number: int) -> int:
    from django.db import connections

    from governance.access.actors import SYSTEM
    from orbit.conductor import fenced, leases
    from orbit.conductor.fenced import Held

    done = 0
    try:
        while claimed := leases.claim(SYSTEM, f"w{number}", BATCH, 60):
            held = [Held(task.id, task.lease_token) for task in claimed]
            results = fenced.complete(held, [1] * len(held), actor=SYSTEM)
            done += sum(result.error is None for result in results)
    finally:
        connections.close_all()
    return done


def _bare_worker(number: int) -> int:
    done = 0
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        cursor = psycopg.RawCursor(connection)
        run: Callable[..., Any] = cursor.execute
        while rows := run(BARE_CLAIM, ["task_start"], prepare=True).fetchall():
            ids, tokens = [row[0] for row in rows], [row[2] for row in rows]
            done += len(run(BARE_COMPLETE, ["task_end", ids, tokens], prepare=True).fetchall())
    return done


if __name__ == "__main__":
    main()
