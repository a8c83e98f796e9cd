"""Deliveries per second: Orbit's cluster and a hand-written worker in turn; the cost of a dead receiver.

The jobs exist before. A cycle has three items for ten endpoints: thirty jobs. On both sides time
runs from the first receipt written to the last completed; CPU time is read at about the same
moments. Payload, receipts before and after, token and sink are the same.

The second part measures whether one dead endpoint slows the other nine: the same cycles, once with
ten live endpoints, once with one that accepts connections and never answers, or refuses them.
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
_OPEN = "SELECT 1 FROM orbit_dispatchjob WHERE cycle_id = ANY(%s) AND endpoint_key <> %s AND status IN ('pending', 'sending') LIMIT 1"
_SPAN = """SELECT min(r.started_at), max(r.finished_at), count(*) FILTER (WHERE r.status = 'delivered') FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE j.cycle_id = ANY(%s) AND j.endpoint_key <> %s"""


@dataclass(frozen=True, slots=True)
class Round:
    """Deliveries per second; CPU milliseconds per delivery, of the program and of PostgreSQL."""

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
    """Rates of nine endpoints beside a live tenth, and right after beside a dead one."""

    alive: list[float]
    dead: dict[str, list[float]]

    def percent(self, way: str) -> float:
        """By how many percent a tenth that is dead in this ``way`` slows the nine: the median."""
        return statistics.median(
            100 - dead / alive * 100 for alive, dead in zip(self.alive, self.dead[way], strict=True)
        )


def measure(testbed: Testbed, *, rounds: int, cycles: int) -> Result:
    """Run both sides ``rounds`` times in turn. Raises RuntimeError if a delivery failed."""
    configure(testbed)
    ours: list[Round] = []
    theirs: list[Round] = []
    for number in range(rounds):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            side.append(orbit(testbed, cycles) if side is ours else _baseline(testbed, cycles))
        print(
            f"round {number + 1} of {rounds}: orbit {ours[-1].rate:.0f}, baseline {theirs[-1].rate:.0f} deliveries/s",
            file=sys.stderr,
            flush=True,
        )
    return Result(ours, theirs)


def measure_dead(testbed: Testbed, *, rounds: int, cycles: int) -> Slowed:
    """Serve nine endpoints beside a live and beside a dead tenth, ``rounds`` times in turn."""
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
    """Return the variables for ten endpoints; the last is at the URL ``dead`` if it is given."""
    keys = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    targets = [
        {"key": key, "url": f"http://127.0.0.1:{testbed.sink_port}/deliver/{key}", "token": TOKEN}
        for key in keys
    ]
    if dead:
        targets[-1]["url"] = dead
    return {**testbed.environment, "ORBIT_DISPATCH_ENDPOINTS": json.dumps(targets), **more}


def configure(testbed: Testbed) -> None:
    """Make every run profile deliver to all ten. Deletes cycles: active ones would forbid it."""
    forget(testbed)
    folder = testbed.folder / "config"
    keys = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    run_profiles = [{"run_profile_id": run_profile_id(number), "profile_id": "bench", "namespace": f"ns-{number}", "state": "enabled",
                     "distribution_targets": keys} for number in range(NAMESPACES)]  # fmt: skip
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
    """Make the jobs of ``cycles`` cycles and deliver them; return the result but for ``without``."""
    variables = environment(testbed, dead=dead)
    forget(testbed)
    made = subprocess.run([sys.executable, "-m", "benchmarks.enqueued", str(cycles)], cwd=testbed.project, check=True, stdout=subprocess.PIPE, text=True,
                          env={**variables, "ORBIT_LEASE_SECONDS": "3600"})  # fmt: skip
    ids = json.loads(made.stdout)
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
        # Cycles that still wait for the dead endpoint.
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
    seen = testbed.sink("GET", "/stats")
    if (delivered, seen["denied"], seen["doubled"]) != (counted, 0, 0) or not counted <= seen[
        "requests"
    ] <= arrived:
        raise RuntimeError(
            f"{delivered} of {counted} were delivered; the sink got {seen['requests']}, {seen['denied']} refused, {seen['doubled']} twice."
        )
    return Round(
        counted / (end - begin).total_seconds(),
        used.program * 1000 / counted,
        used.server * 1000 / counted,
    )


@contextmanager
def _silent() -> Iterator[int]:
    """Open a port that accepts connections and never answers; close it after the block."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield int(server.getsockname()[1])
