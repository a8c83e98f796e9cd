"""Coverage of 10,000 sessions; and reconciliation of a million tasks beside a bare full join.

``python -m benchmarks.telemetry_reconcile TASKS`` measures in Orbit's environment and prints JSON.
"""

import json
import os
import resource
import statistics
import sys
import time
from dataclasses import dataclass

import django
import psycopg

from benchmarks.testbed import Testbed

SESSIONS = 10_000
DIFFERENCES = 100
ROUNDS = 3
GOAL_COVERAGE_SECONDS, GOAL_RATIO = 1.0, 3.0

EVENTS = """
INSERT INTO telemetry_telemetryevent (id, occurred_at, name, session_id, task_id, metadata)
SELECT gen_random_uuid(), now() - (s %% 3) * interval '1 day', kind.name, 'bench-' || s,
       't-' || kind.n,
       CASE WHEN kind.name = 'task_start' THEN '{"artifacts_declared": ["a.xml", "b.log"]}'
            WHEN kind.name = 'artifact_emit' THEN '{"path_name": "a.xml", "size": 1}'
            ELSE '{}' END::jsonb
FROM generate_series(1, %s) AS s,
     (VALUES ('task_start', 1), ('task_start', 2), ('task_end', 1), ('task_end', 2),
             ('command_start', 0), ('command_end', 0), ('artifact_emit', 1), ('artifact_emit', 2),
             ('error', 1), ('metric', 1)) AS kind(name, n)
"""
TASKS = """
CREATE TABLE bench_task AS
SELECT 'task-' || n AS task_id, 'SUCCEEDED' AS status, now() AS changed_at, 'Load' AS title,
       1::bigint AS priority, '[]'::jsonb AS tags, NULL::text AS namespace
FROM generate_series(1, {0}) AS n;
GRANT SELECT, UPDATE ON bench_task TO PUBLIC;
SET orbit.projection_updater = 'on';
-- Other parts of the benchmark leave some, which no authority knows.
DELETE FROM telemetry_taskprojection;
INSERT INTO telemetry_taskprojection (
    task_id, title, status, last_status_ts, priority, last_event_ts, updated_utc)
SELECT task_id, title, 'succeeded', changed_at, priority, changed_at, changed_at FROM bench_task;
ANALYZE bench_task
"""
JOIN = """
SELECT count(*) FROM bench_task a FULL JOIN telemetry_taskprojection p ON p.task_id = a.task_id
WHERE lower(a.status) IS DISTINCT FROM p.status
"""
DIFFER = """
UPDATE bench_task
SET status = CASE status WHEN 'FAILED' THEN 'SUCCEEDED' ELSE 'FAILED' END, changed_at = now()
WHERE task_id IN (SELECT 'task-' || n * 7 FROM generate_series(1, %s) AS n)
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds, and the megabytes of the process that reconciles."""

    tasks: int
    coverage: float
    reconcile: float
    join: float
    megabytes: float

    @property
    def ratio(self) -> float:
        """A whole run by a bare full join."""
        return self.reconcile / self.join

    def lines(self) -> list[str]:
        """Return the result as lines of a table."""
        fast = "met" if self.coverage < GOAL_COVERAGE_SECONDS else "MISSED"
        close = "met" if self.ratio < GOAL_RATIO else "MISSED"
        return [
            "",
            f"Coverage of {SESSIONS:,} sessions with {SESSIONS * 10:,} events; medians of {ROUNDS}",
            f"scan         {self.coverage:>8.2f} s    ({fast}: below {GOAL_COVERAGE_SECONDS} s)",
            "",
            f"Reconciliation of {self.tasks:,} tasks with {DIFFERENCES} differences",
            f"a whole run  {self.reconcile:>8.2f} s    {self.megabytes:.0f} MB",
            f"full join    {self.join:>8.2f} s",
            f"ratio        {self.ratio:>8.2f}      ({close}: below {GOAL_RATIO})",
        ]


def measure(testbed: Testbed, *, tasks: int) -> Result:
    """Measure with so many tasks."""
    done = testbed.measured("telemetry_reconcile", str(tasks))
    return Result(**done)


def main() -> None:
    tasks = int(sys.argv[1])
    django.setup()
    with psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        owner.execute(EVENTS, [SESSIONS])
        owner.execute("ANALYZE telemetry_telemetryevent")
        coverage = [_timed_coverage() for _ in range(ROUNDS)]
        owner.execute(TASKS.format(tasks).encode())
        owner.execute("VACUUM ANALYZE telemetry_taskprojection")
        joins, runs = [], []
        for _ in range(ROUNDS):
            owner.execute(DIFFER, [DIFFERENCES])
            began = time.perf_counter()
            owner.execute(JOIN)
            joins.append(time.perf_counter() - began)
            runs.append(_timed_run())
    result = {
        "tasks": tasks,
        "coverage": statistics.median(coverage),
        "join": statistics.median(joins),
        "reconcile": statistics.median(runs),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


def _timed_coverage() -> float:
    from telemetry import coverage

    began = time.perf_counter()
    found = coverage.scan()
    took = time.perf_counter() - began
    if found.sessions_with_gaps < SESSIONS:  # other parts leave some
        raise RuntimeError(f"{found.sessions_with_gaps} sessions have gaps, not {SESSIONS}")
    return took


def _timed_run() -> float:
    from governance.access.actors import SYSTEM
    from telemetry.reconcile import authority, by_hand, run

    authority.register(authority.Authority("bench", "SELECT * FROM bench_task"))
    began = time.perf_counter()
    done = by_hand.perform(run.start(SYSTEM, reason="bench"))
    took = time.perf_counter() - began
    if done.progress["total"] != DIFFERENCES:
        raise RuntimeError(f"The run found {done.progress['total']} differences")
    return took


if __name__ == "__main__":
    main()
