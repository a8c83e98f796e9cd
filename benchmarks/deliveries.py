"""Deliveries per second, and how much a dead receiver slows the others.

The jobs exist before. Time and CPU count from the first receipt to the last; both sides use the
same payload, receipts, token and sink.
"""

import json
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks import delivery_baseline
from benchmarks.enqueued import PAYLOAD
from benchmarks.sink import TOKEN
from benchmarks.testbed import NAMESPACES, Testbed, run_profile_id, until

ENDPOINTS, ITEMS = 10, 3
DEAD = f"endpoint-{ENDPOINTS - 1}"
PATIENCE = 600
_STARTED = "SELECT 1 FROM orbit_deliveryreceipt LIMIT 1"
_OPEN = """SELECT 1 FROM orbit_dispatchjob
WHERE cycle_id = ANY(%s) AND endpoint_key <> %s AND status IN ('pending', 'sending') LIMIT 1"""
_SPAN = """SELECT min(r.started_at), max(r.finished_at),
    count(*) FILTER (WHERE r.status = 'delivered')
FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id
WHERE j.cycle_id = ANY(%s) AND j.endpoint_key <> %s"""


@dataclass(frozen=True, slots=True)
class Round:
    """Deliveries per second, and CPU milliseconds per delivery."""

    rate: float
    program_ms: float
    server_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds, in pairs."""

    orbit: list[Round]
    baseline: list[Round]

    @property
    def ratio(self) -> float:
        """The median of Orbit's rate divided by the baseline's."""
        return statistics.median(
            ours.rate / theirs.rate for ours, theirs in zip(self.orbit, self.baseline, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Slowed:
    """Rates of nine endpoints beside a live and beside a dead tenth."""

    alive: list[float]
    dead: dict[str, list[float]]

    def percent(self, way: str) -> float:
        """Return the median slowdown by a tenth that is dead in this ``way``."""
        return statistics.median(
            100 - dead / alive * 100 for alive, dead in zip(self.alive, self.dead[way], strict=True)
        )


def measure(testbed: Testbed, *, rounds: int, cycles: int) -> Result:
    """Run both sides ``rounds`` times. Raises RuntimeError if a delivery failed."""
    configure(testbed)
    ours: list[Round] = []
    theirs: list[Round] = []
    for number in range(rounds):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            side.append(orbit(testbed, cycles) if side is ours else _baseline(testbed, cycles))
        print(
            f"round {number + 1} of {rounds}: orbit {ours[-1].rate:.0f}, "
            f"baseline {theirs[-1].rate:.0f} deliveries/s",
            file=sys.stderr,
            flush=True,
        )
    return Result(ours, theirs)


def measure_dead(testbed: Testbed, *, rounds: int, cycles: int) -> Slowed:
    """Measure nine endpoints beside a live and beside a dead tenth."""
    configure(testbed)
    slowed = Slowed([], {"never answers": [], "refuses connections": []})
    for _ in range(rounds):
        slowed.alive.append(orbit(testbed, cycles, without=DEAD).rate)
        with _silent() as port:
            slowed.dead["never answers"].append(
                orbit(testbed, cycles, without=DEAD, dead=f"http://127.0.0.1:{port}/").rate
            )
        slowed.dead["refuses connections"].append(
            orbit(testbed, cycles, without=DEAD, dead=f"http://127.0.0.1:{port}/").rate
        )
    return slowed


def environment(testbed: Testbed, *, dead: str = "", **more: str) -> dict[str, str]:
    """Return the variables for ten endpoints; ``dead`` is the last one's URL."""
    keys = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    targets = [
        {"key": key, "url": f"http://127.0.0.1:{testbed.sink_port}/deliver/{key}", "token": TOKEN}
        for key in keys
    ]
    if dead:
        targets[-1]["url"] = dead
    return {**testbed.environment, "ORBIT_DISPATCH_ENDPOINTS": json.dumps(targets), **more}


def configure(testbed: Testbed) -> None:
    """Make every run profile deliver to all ten; deletes all cycles."""
    forget(testbed)  # active cycles would forbid the reload
    folder = testbed.folder / "config"
    keys = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    run_profiles = [
        {
            "run_profile_id": run_profile_id(number),
            "profile_id": "bench",
            "namespace": f"ns-{number}",
            "state": "enabled",
            "distribution_targets": keys,
        }
        for number in range(NAMESPACES)
    ]
    (folder / "runProfiles.json").write_text(json.dumps(run_profiles))
    subprocess.run(
        [sys.executable, "manage.py", "config", "reload"],
        cwd=testbed.project,
        env=environment(testbed),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def forget(testbed: Testbed) -> None:
    """Delete all cycles with their rows."""
    with testbed.watch("orbit", owner=True) as owner:
        owner.execute("TRUNCATE orbit_cyclerun CASCADE")


def orbit(testbed: Testbed, cycles: int, *, without: str = "", dead: str = "") -> Round:
    """Deliver the jobs of ``cycles`` cycles; don't count the endpoint ``without``."""
    variables = environment(testbed, dead=dead)
    forget(testbed)
    enqueued = subprocess.run(
        [sys.executable, "-m", "benchmarks.enqueued", str(cycles)],
        cwd=testbed.project,
        env={**variables, "ORBIT_LEASE_SECONDS": "3600"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    ids = json.loads(enqueued.stdout)
    with testbed.watch("orbit", owner=True) as owner:
        owner.execute("VACUUM ANALYZE orbit_dispatchjob")
    testbed.sink("POST", "/reset")
    with (
        testbed.watch("orbit") as watch,
        testbed.running(sys.executable, "manage.py", "cluster", environment=variables) as cluster,
    ):
        until(
            lambda: watch.execute(_STARTED).fetchone(), "the first delivery", seconds=60, every=0.01
        )
        before = testbed.used(cluster.pid)
        until(
            lambda: not watch.execute(_OPEN, [ids, without]).fetchone(),
            "the last delivery",
            seconds=PATIENCE,
        )
        used = testbed.used(cluster.pid) - before
        span = watch.execute(_SPAN, [ids, without]).fetchone()
        # A drain would wait for cycles of the dead endpoint.
        cluster.kill()
    assert span is not None
    return _round(
        testbed,
        cycles * ITEMS * (ENDPOINTS - bool(without)),
        cycles * ITEMS * (ENDPOINTS - bool(dead)),
        span,
        used,
    )


def _baseline(testbed: Testbed, cycles: int) -> Round:
    dsn = testbed.server.url("orbit_app", "baseline")
    delivery_baseline.fill(dsn, payload=PAYLOAD, items=cycles * ITEMS, endpoints=ENDPOINTS)
    testbed.sink("POST", "/reset")
    command = [
        sys.executable,
        "-m",
        "benchmarks.delivery_baseline",
        dsn,
        f"http://127.0.0.1:{testbed.sink_port}",
    ]
    with testbed.running(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = testbed.used(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        if process.stdout.readline() != "done\n":
            raise RuntimeError("The baseline failed.")
        used = testbed.used(process.pid) - before
        process.stdin.close()
        process.wait(30)
    with testbed.watch("baseline") as watch:
        span = watch.execute(delivery_baseline.SPAN).fetchone()
    assert span is not None
    return _round(testbed, cycles * ITEMS * ENDPOINTS, cycles * ITEMS * ENDPOINTS, span, used)


def _round(testbed: Testbed, counted: int, arrived: int, span: tuple[Any, ...], used: Any) -> Round:
    begin, end, delivered = span
    assert isinstance(begin, datetime)
    stats = testbed.sink("GET", "/stats")
    counts = (delivered, stats["denied"], stats["doubled"])
    if counts != (counted, 0, 0) or not counted <= stats["requests"] <= arrived:
        raise RuntimeError(
            f"{delivered} of {counted} were delivered; the sink got {stats['requests']}, "
            f"{stats['denied']} refused, {stats['doubled']} twice."
        )
    return Round(
        counted / (end - begin).total_seconds(),
        used.program * 1000 / counted,
        used.server * 1000 / counted,
    )


@contextmanager
def _silent() -> Iterator[int]:
    """Open a port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield int(server.getsockname()[1])
