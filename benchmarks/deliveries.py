"""Deliveries per second: Orbit's cluster and the hand-written courier in turn, on jobs that were made beforehand, and what a dead receiver costs.

A cycle has three items, which go to ten endpoints: thirty jobs. On both sides time runs from the first receipt that is written to the
last that is completed, and CPU time is read at about the same moments; payload, receipts before and after, token and sink are the same.

The second part asks whether one dead endpoint slows the other nine: the same cycles again, once with ten that live and once with one that
takes connections and never answers, or refuses them; measured are the deliveries of the nine.
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

from benchmarks import courier
from benchmarks.enqueued import PAYLOAD
from benchmarks.place import NAMESPACES, Place, run_profile_id, until
from benchmarks.sink import TOKEN

ENDPOINTS, ITEMS = 10, 3
DEAD = f"endpoint-{ENDPOINTS - 1}"
PATIENCE = 600
_STARTED = "SELECT 1 FROM orbit_deliveryreceipt LIMIT 1"
_OPEN = "SELECT 1 FROM orbit_dispatchjob WHERE cycle_id = ANY(%s) AND endpoint_key <> %s AND status IN ('pending', 'sending') LIMIT 1"
_SPAN = """SELECT min(r.started_at), max(r.finished_at), count(*) FILTER (WHERE r.status = 'delivered') FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE j.cycle_id = ANY(%s) AND j.endpoint_key <> %s"""


@dataclass(frozen=True, slots=True)
class Round:
    """Deliveries per second, and milliseconds of CPU time for each: the program's and the database server's."""

    rate: float
    program_ms: float
    server_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds, pair by pair."""

    orbit: list[Round]
    baseline: list[Round]

    @property
    def ratio(self) -> float:
        """The median of how fast Orbit was beside the baseline."""
        return statistics.median(
            ours.rate / theirs.rate for ours, theirs in zip(self.orbit, self.baseline, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Slowed:
    """How fast the nine were served with ten that live, and right after it with a tenth that is dead in one way or another."""

    alive: list[float]
    dead: dict[str, list[float]]

    def percent(self, way: str) -> float:
        """By how much slower they were beside one that is dead in this ``way``: the median of the rounds."""
        return statistics.median(
            100 - dead / alive * 100 for alive, dead in zip(self.alive, self.dead[way], strict=True)
        )


def measure(place: Place, *, rounds: int, cycles: int) -> Result:
    """Run both sides ``rounds`` times in turn. Raises RuntimeError where a delivery went wrong."""
    configure(place)
    ours: list[Round] = []
    theirs: list[Round] = []
    for number in range(rounds):
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            side.append(orbit(place, cycles) if side is ours else _baseline(place, cycles))
        print(
            f"round {number + 1} of {rounds}: orbit {ours[-1].rate:.0f}, baseline {theirs[-1].rate:.0f} deliveries/s",
            file=sys.stderr,
            flush=True,
        )
    return Result(ours, theirs)


def measure_dead(place: Place, *, rounds: int, cycles: int) -> Slowed:
    """Serve nine endpoints beside a tenth that lives, and beside one that is dead, ``rounds`` times in turn."""
    configure(place)
    slowed = Slowed([], {"never answers": [], "refuses connections": []})
    for _ in range(rounds):
        slowed.alive.append(orbit(place, cycles, without=DEAD).rate)
        with _silent() as port:
            slowed.dead["never answers"].append(
                orbit(place, cycles, without=DEAD, dead=f"http://127.0.0.1:{port}/").rate
            )
        slowed.dead["refuses connections"].append(
            orbit(place, cycles, without=DEAD, dead=f"http://127.0.0.1:{port}/").rate
        )
    return slowed


def environment(place: Place, *, dead: str = "", **more: str) -> dict[str, str]:
    """Return the variables of Orbit's processes with ten endpoints, the last of them at the url ``dead`` where one is given."""
    keys = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    targets = [
        {"key": key, "url": f"http://127.0.0.1:{place.sink_port}/deliver/{key}", "token": TOKEN}
        for key in keys
    ]
    if dead:
        targets[-1]["url"] = dead
    return {**place.environment, "ORBIT_DISPATCH_ENDPOINTS": json.dumps(targets), **more}


def configure(place: Place) -> None:
    """Have every run profile deliver to all ten; cycles that are there are forgotten, for active ones forbid it."""
    forget(place)
    folder = place.folder / "config"
    keys = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    run_profiles = [{"run_profile_id": run_profile_id(number), "profile_id": "bench", "namespace": f"ns-{number}", "state": "enabled",
                     "distribution_targets": keys} for number in range(NAMESPACES)]  # fmt: skip
    (folder / "runProfiles.json").write_text(json.dumps(run_profiles))
    subprocess.run(
        [sys.executable, "manage.py", "config", "reload"],
        cwd=place.project,
        env=environment(place),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def forget(place: Place) -> None:
    """Empty the tables of cycles, with what hangs on them."""
    with place.watch("orbit", owner=True) as owner:
        owner.execute("TRUNCATE orbit_cyclerun CASCADE")


def orbit(place: Place, cycles: int, *, without: str = "", dead: str = "") -> Round:
    """Make the jobs of ``cycles`` cycles, have a cluster deliver them, and return how that went for the endpoints other than ``without``."""
    variables = environment(place, dead=dead)
    forget(place)
    made = subprocess.run([sys.executable, "-m", "benchmarks.enqueued", str(cycles)], cwd=place.project, check=True, stdout=subprocess.PIPE, text=True,
                          env={**variables, "ORBIT_LEASE_SECONDS": "3600"})  # fmt: skip
    ids = json.loads(made.stdout)
    with place.watch("orbit", owner=True) as owner:
        owner.execute("VACUUM ANALYZE orbit_dispatchjob")
    place.sink("POST", "/reset")
    with (
        place.watch("orbit") as watch,
        place.running(sys.executable, "manage.py", "cluster", environment=variables) as cluster,
    ):
        until(
            lambda: watch.execute(_STARTED).fetchone(), "the first delivery", seconds=60, every=0.01
        )
        before = place.used(cluster.pid)
        until(
            lambda: not watch.execute(_OPEN, [ids, without]).fetchone(),
            "the last delivery",
            seconds=PATIENCE,
        )
        used = place.used(cluster.pid) - before
        span = watch.execute(_SPAN, [ids, without]).fetchone()
        # The cycles that still wait for the dead one go with it.
        cluster.kill()
    assert span is not None
    return _round(
        place,
        cycles * ITEMS * (ENDPOINTS - bool(without)),
        cycles * ITEMS * (ENDPOINTS - bool(dead)),
        span,
        used,
    )


def _baseline(place: Place, cycles: int) -> Round:
    dsn = place.server.url("orbit_app", "baseline")
    courier.fill(dsn, payload=PAYLOAD, items=cycles * ITEMS, endpoints=ENDPOINTS)
    place.sink("POST", "/reset")
    command = [
        sys.executable,
        "-m",
        "benchmarks.courier",
        dsn,
        f"http://127.0.0.1:{place.sink_port}",
    ]
    with place.running(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = place.used(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        if process.stdout.readline() != "done\n":
            raise RuntimeError("The baseline failed.")
        used = place.used(process.pid) - before
        process.stdin.close()
        process.wait(30)
    with place.watch("baseline") as watch:
        span = watch.execute(courier.SPAN).fetchone()
    assert span is not None
    return _round(place, cycles * ITEMS * ENDPOINTS, cycles * ITEMS * ENDPOINTS, span, used)


def _round(place: Place, counted: int, arrived: int, span: tuple[Any, ...], used: Any) -> Round:
    begin, end, delivered = span
    assert isinstance(begin, datetime)
    seen = place.sink("GET", "/stats")
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
    """Have a port that takes connections and never answers; afterwards it refuses them."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield int(server.getsockname()[1])
