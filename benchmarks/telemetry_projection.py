"""How many task events a second the projection takes in, as it grows.

``python -m benchmarks.telemetry_projection MOST`` measures in Orbit's environment and prints JSON.
"""

import json
import os
import statistics
import sys
import time
from dataclasses import dataclass

import django
import psycopg

from benchmarks.meters import cpu_seconds
from benchmarks.testbed import Testbed

GOAL = 20_000
#: Tasks in the projection at first; the last size is an argument.
LEAST = 10_000
BATCH, ROUNDS = 5_000, 9
GROW = """INSERT INTO telemetry_taskprojection (
    task_id, status, last_status_ts, last_event_ts, updated_utc, status_rank)
SELECT 'old-' || i, 'succeeded', now(), now(), now(), 2
FROM generate_series({first}, {last}) AS i"""
# Starts and ends; every second task is new, the others are spread over those that are there.
STAGE = """INSERT INTO telemetry_staging
SELECT i, gen_random_uuid(), clock_timestamp(),
    CASE i % 2 WHEN 0 THEN 'task_start' ELSE 'task_end' END, 'eu', NULL, NULL, 's',
    CASE (i / 2) % 2 WHEN 0 THEN gen_random_uuid()::text
        ELSE 'old-' || 1 + abs(hashint8(i / 2 + {seed}) % {count}) END,
    NULL, 'info', 1.5, jsonb_build_object('title', 'Load ' || i, 'priority', 3,
        'tags', jsonb_build_array('a', 'b'), 'success', true, 'text', repeat('0123456789', 80))
FROM generate_series(1, {batch}) AS i"""


@dataclass(frozen=True, slots=True)
class Result:
    """Events a second by the clock, and of the server's CPU time, by tasks in the projection."""

    tasks: list[int]
    rates: list[float]
    cpu_rates: list[float]

    def lines(self) -> list[str]:
        """Return the result as lines of a table."""
        met = "met" if min(self.rates) >= GOAL else "MISSED"
        return [
            "",
            f"Projection: batches of {BATCH:,} starts and ends of 1 KB; medians of {ROUNDS}, "
            "with the commit",
            *(
                f"{count:>12,} tasks {rate:>10,.0f} events/s {cpu:>10,.0f} in a second of "
                "PostgreSQL's CPU"
                for count, rate, cpu in zip(self.tasks, self.rates, self.cpu_rates, strict=True)
            ),
            f"{'':<18} ({met}: at least {GOAL:,} events/s)",
        ]


def measure(testbed: Testbed, *, most: int) -> Result:
    """Measure with 10,000 tasks and with ``most``."""
    done = testbed.measured("telemetry_projection", str(most))
    return Result(**done)


def main() -> None:
    django.setup()
    sizes = [LEAST, int(sys.argv[1])]
    rates, cpu_rates, first = [], [], 1
    with psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        owner.execute("SET orbit.projection_updater = 'on'")
        for count in sizes:
            owner.execute(GROW.format(first=first, last=count))  # type: ignore[arg-type]
            owner.execute("VACUUM ANALYZE telemetry_taskprojection")
            first = count + 1
            rounds = [_round(count, seed) for seed in range(ROUNDS)]
            rates.append(statistics.median(rate for rate, _ in rounds))
            cpu_rates.append(statistics.median(cpu for _, cpu in rounds))
    print(json.dumps({"tasks": sizes, "rates": rates, "cpu_rates": cpu_rates}))


def _round(count: int, seed: int) -> tuple[float, float]:
    from django.db import transaction

    from telemetry import database, staging
    from telemetry.consumers import projection

    connection = database.connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        with transaction.atomic(using=database.ALIAS):
            staging.prepare()
            cursor.execute(STAGE.format(batch=BATCH, count=count, seed=seed * BATCH))
            began, used = time.perf_counter(), cpu_seconds(pid)
            projection.consume()
        seconds, cpu = time.perf_counter() - began, cpu_seconds(pid) - used
    return BATCH / seconds, BATCH / cpu


if __name__ == "__main__":
    main()
