"""Memory of a cluster's workers, over many deliveries and with hostile receivers."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import psycopg

from benchmarks import deliveries, meters
from benchmarks.deliveries import ENDPOINTS, ITEMS
from benchmarks.testbed import NAMESPACES, Testbed, end, until

PATIENCE = 1200
_DONE = "SELECT count(*) FROM orbit_deliveryreceipt WHERE status = 'delivered'"
_ACTIVE = "SELECT 1 FROM orbit_cyclerun WHERE status IN ('pending', 'running') LIMIT 1"


@dataclass(frozen=True, slots=True)
class Reading:
    """The workers' resident megabytes after ``deliveries``."""

    deliveries: int
    megabytes: float


def over_many(testbed: Testbed, *, total: int, marks: tuple[int, ...]) -> list[Reading]:
    """Return the memory at ``marks`` and at the end."""
    deliveries.configure(testbed)
    return _watch(testbed, deliveries.environment(testbed), total=total, marks=marks)


def with_hostile_receivers(testbed: Testbed, *, total: int) -> list[Reading]:
    """Return the memory early on, and the peak after."""
    deliveries.configure(testbed)
    variables = deliveries.environment(testbed)
    hostile = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hostile"],
        cwd=testbed.project,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert hostile.stdout is not None
    try:
        port = int(hostile.stdout.readline())
        targets = json.loads(variables["ORBIT_DISPATCH_ENDPOINTS"])
        for number, target in enumerate(targets):
            target |= {
                "url": f"http://127.0.0.1:{port}/{('endless', 'bomb', 'drip')[number % 3]}",
                "total_timeout": 1,
            }
        return _watch(
            testbed,
            {**variables, "ORBIT_DISPATCH_ENDPOINTS": json.dumps(targets)},
            total=total,
            marks=(total // 10,),
        )
    finally:
        end(hostile)


def _watch(
    testbed: Testbed, variables: dict[str, str], *, total: int, marks: tuple[int, ...]
) -> list[Reading]:
    readings: list[Reading] = []
    with (
        testbed.watch("orbit") as watch,
        testbed.running(sys.executable, "manage.py", "cluster", environment=variables) as cluster,
    ):
        left, highest = list(marks), 0.0
        begun = 0
        while begun < total:
            cycles = min(NAMESPACES, -(-(total - begun) // (ITEMS * ENDPOINTS)))
            begun += cycles * ITEMS * ENDPOINTS
            subprocess.run(
                [sys.executable, "-m", "benchmarks.starts", str(cycles)],
                cwd=testbed.project,
                env=variables,
                check=True,
                stdout=subprocess.DEVNULL,
            )

            def quiet() -> bool:
                nonlocal highest
                done, now = _count(watch), _megabytes(cluster.pid)
                highest = max(highest, now)
                if left and done >= left[0]:
                    left.pop(0)
                    readings.append(Reading(done, now))
                    highest = now
                return watch.execute(_ACTIVE).fetchone() is None

            _until(quiet)
        readings.append(Reading(_count(watch), highest))
    return readings


def _until(done: Callable[[], bool]) -> None:
    until(done, "the deliveries", seconds=PATIENCE, every=0.2)
    time.sleep(0.5)


def _count(watch: psycopg.Connection) -> int:
    row = watch.execute(_DONE).fetchone()
    return int(row[0]) if row else 0


def _megabytes(cluster: int) -> float:
    total = 0
    for process in meters.tree(cluster)[1:]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6
