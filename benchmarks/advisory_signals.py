"""Signals of 1,000 profiles beside a bare aggregate over the same events.

``python -m benchmarks.advisory_signals EVENTS`` measures in Orbit's environment and prints JSON.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import django
import psutil
import psycopg
from django.db import connection

from benchmarks.testbed import Testbed

PROFILES, NAMESPACES, DAYS = 1_000, 20, 27
ROUNDS = 3
GOAL_RATIO = 2.0
#: Events of a cycle with three deliveries.
PER_CYCLE = 10

PARTITIONS = """
SELECT telemetry_ensure_partitions(
    (now() AT TIME ZONE 'UTC')::date - 30, (now() AT TIME ZONE 'UTC')::date)
"""
EVENTS = f"""
INSERT INTO telemetry_telemetryevent (
    id, occurred_at, name, namespace, profile_id, run_id, stage, duration_ms, metadata)
SELECT gen_random_uuid(), now() - interval '1 hour' - c.age * interval '{DAYS} days', kind.name,
       'bench-' || c.n %% {NAMESPACES}, 'bench-' || c.n %% {PROFILES}, c.run_id, kind.stage,
       CASE WHEN kind.name <> 'execution_started' THEN -1000 * ln(1 - random()) END,
       CASE kind.name
           WHEN 'execution_finished' THEN jsonb_build_object(
               'status', CASE WHEN random() < 0.95 THEN 'success' ELSE 'failed' END)
           WHEN 'delivery_confirmed' THEN jsonb_build_object(
               'job_id', gen_random_uuid(), 'attempt', 1,
               'endpoint_key', 'receiver-' || kind.number)
           ELSE '{{"ok": true}}'::jsonb
       END
FROM (SELECT n, random() AS age, gen_random_uuid() AS run_id
      FROM generate_series(1, %s) AS n) AS c,
     (VALUES ('execution_started', NULL, 0), ('stage_finished', 'initiation', 0),
             ('stage_finished', 'transformations', 0), ('stage_finished', 'normalization', 0),
             ('tier_attempt', 'transformations', 0), ('stage_finished', 'dispatch', 0),
             ('delivery_confirmed', 'dispatch', 1), ('delivery_confirmed', 'dispatch', 2),
             ('delivery_confirmed', 'dispatch', 3), ('execution_finished', NULL, 0)
     ) AS kind(name, stage, number)
"""
#: The numbers that a user would ask for by hand: no ranks, no tests, nothing stored.
BARE = """
SELECT profile_id, namespace, occurred_at >= now() - interval '7 days' AS in_window,
       count(*) FILTER (WHERE metadata ->> 'status' = 'success'),
       count(*) FILTER (WHERE metadata ->> 'status' IN ('failed', 'partial_success')),
       count(*) FILTER (WHERE name = 'delivery_confirmed'),
       count(*) FILTER (WHERE name = 'delivery_attempt'),
       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY duration_ms)
           FILTER (WHERE metadata ->> 'status' = 'success')
FROM telemetry_telemetryevent
WHERE name IN ('execution_finished', 'delivery_confirmed', 'delivery_attempt')
  AND occurred_at >= now() - interval '28 days'
  AND occurred_at < now()
GROUP BY 1, 2, 3
"""
PROFILE_ROWS = f"""
INSERT INTO orbit_profile (profile_id, label, state, document, revision)
SELECT 'bench-' || n, 'Bench', 'enabled', '{{}}', 1 FROM generate_series(0, {PROFILES} - 1) AS n
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds of each round, and the megabytes that the process gained."""

    events: int
    signals: list[float]
    one_profile: list[float]
    bare: list[float]
    #: CPU seconds of this process and its server's, which other load on the machine leaves alone.
    signals_cpu: list[float]
    bare_cpu: list[float]
    megabytes: float

    @property
    def ratio(self) -> float:
        """A computation by the bare aggregate; the median of rounds in turn."""
        return statistics.median(
            ours / bare for ours, bare in zip(self.signals_cpu, self.bare_cpu, strict=True)
        )

    def lines(self) -> list[str]:
        """Return the result as lines of a table."""
        met = "goal met" if self.ratio <= GOAL_RATIO else "GOAL MISSED"
        return [
            "",
            f"Signals of {PROFILES:,} profiles over {self.events:,} events; "
            f"medians of {len(self.bare)} rounds in turn",
            f"compute and store  {statistics.median(self.signals):>8.2f} s, "
            f"of CPU time {statistics.median(self.signals_cpu):.2f} s; "
            f"{self.megabytes:.0f} MB more than before",
            f"of one profile     {statistics.median(self.one_profile):>8.2f} s",
            f"bare aggregate     {statistics.median(self.bare):>8.2f} s, "
            f"of CPU time {statistics.median(self.bare_cpu):.2f} s",
            f"ratio              {self.ratio:>8.2f} of CPU times   ({met}: at most {GOAL_RATIO:g})",
        ]


def measure(testbed: Testbed, *, events: int) -> Result:
    """Measure over so many events."""
    done = testbed.measured("advisory_signals", str(events))
    return Result(**done)


def main() -> None:
    events = int(sys.argv[1])
    django.setup()
    with psycopg.connect(os.environ["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        owner.execute(PARTITIONS)
        owner.execute(PROFILE_ROWS)
        owner.execute(EVENTS, [events // PER_CYCLE])
        owner.execute("VACUUM ANALYZE telemetry_telemetryevent")
        # Workers of a parallel scan would hide their CPU time.
        owner.execute("SET max_parallel_workers_per_gather = 0")
        signals, one_profile, bare = [], [], []
        before = _megabytes()
        for _ in range(ROUNDS):
            bare.append(_meter(owner.info.backend_pid, lambda: owner.execute(BARE).fetchall()))
            signals.append(_meter(_backend(), _compute))
            one_profile.append(_meter(_backend(), lambda: _compute("bench-7")))
    result = Result(
        events=events,
        signals=[took for took, _ in signals],
        one_profile=[took for took, _ in one_profile],
        bare=[took for took, _ in bare],
        signals_cpu=[cpu for _, cpu in signals],
        bare_cpu=[cpu for _, cpu in bare],
        megabytes=_megabytes() - before,
    )
    print(json.dumps(asdict(result)))


def _meter(backend: int, work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds by the clock, and of CPU time here and in the server's process."""
    began, used = time.perf_counter(), _cpu(backend)
    work()
    return time.perf_counter() - began, _cpu(backend) - used


def _cpu(backend: int) -> float:
    server = psutil.Process(backend).cpu_times()
    return time.process_time() + server.user + server.system


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def _compute(profile_id: str | None = None) -> None:
    from advisory.signals import compute
    from governance.access.actors import SYSTEM

    done = compute.compute(actor=SYSTEM, profile_id=profile_id)
    judged = [signal for signal in done.signals if signal.signal != "insufficient_data"]
    if len(judged) < (PROFILES if profile_id is None else 1):
        raise RuntimeError(f"Only {len(judged)} signals are more than insufficient_data")


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
