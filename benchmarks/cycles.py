"""Cycles per second: Orbit's cluster and the baseline in turn.

Orbit's queue is filled before. Time and CPU count from the first start to the last finish, without
the start of the processes.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg
from psycopg import sql

from benchmarks import meters, writes
from benchmarks.testbed import WATCHER, Testbed, until
from benchmarks.writes import Written

PATIENCE = 300
_STARTED = "SELECT 1 FROM orbit_cyclerun WHERE id = ANY(%s) AND started_at IS NOT NULL LIMIT 1"
_ACTIVE = (
    "SELECT 1 FROM orbit_cyclerun WHERE id = ANY(%s) AND status IN ('pending', 'running') LIMIT 1"
)
_SPAN = (
    "SELECT min(started_at), max(finished_at), array_agg(DISTINCT status) "
    "FROM orbit_cyclerun WHERE id = ANY(%s)"
)
_BASELINE_SPAN = (
    "SELECT min(started_at), max(finished_at) "
    "FROM (SELECT * FROM run ORDER BY id DESC LIMIT %s) AS r"
)


@dataclass(frozen=True, slots=True)
class Round:
    """One side's round, per cycle unless a rate."""

    rate: float
    program_ms: float
    server_ms: float
    commits: float
    statements: float | None = None
    #: What all its cycles wrote.
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds, in pairs, and those that counted statements."""

    orbit: list[Round]
    baseline: list[Round]
    orbit_counted: Round
    baseline_counted: Round

    @property
    def ratios(self) -> list[float]:
        """Orbit's rate divided by the baseline's, by pair."""
        return [
            ours.rate / theirs.rate for ours, theirs in zip(self.orbit, self.baseline, strict=True)
        ]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


def measure(testbed: Testbed, *, rounds: int, cycles: int) -> Result:
    """Run both sides ``rounds`` times. Raises RuntimeError if a delivery failed."""
    ours: list[Round] = []
    theirs: list[Round] = []
    for number in range(rounds):
        # Alternate the order, so that a server that slows down favours neither.
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            side.append(
                orbit_round(testbed, cycles) if side is ours else _baseline(testbed, cycles)
            )
        print(
            f"round {number + 1} of {rounds}: orbit {ours[-1].rate:.1f}, "
            f"baseline {theirs[-1].rate:.1f} cycles/s",
            file=sys.stderr,
            flush=True,
        )
    few = min(cycles, 100)
    return Result(
        ours, theirs, orbit_round(testbed, few, counted=True), _baseline(testbed, few, counted=True)
    )


def orbit_round(
    testbed: Testbed,
    cycles: int,
    *,
    counted: bool = False,
    command: tuple[str, ...] = ("manage.py", "cluster"),
) -> Round:
    """Run ``cycles`` by a cluster. Raises RuntimeError if a delivery failed."""
    ids = start(testbed, cycles)
    _log_statements(testbed, "orbit", on=counted)
    testbed.sink("POST", "/reset")
    commits = testbed.commits("orbit")
    looks = 0  # our own commits, which don't count
    with testbed.watch("orbit") as watch:
        earlier = writes.read(watch)
        looks += writes.COMMITS

        def looked(answer: bool) -> bool:
            nonlocal looks
            looks += 1
            return answer

        with testbed.running(sys.executable, *command) as cluster:
            until(
                lambda: looked(some_started(watch, ids)),
                "the first cycle starts",
                seconds=60,
                every=0.02,
            )
            before = testbed.used(cluster.pid)
            until(
                lambda: looked(not some_active(watch, ids)),
                "the last cycle ends",
                seconds=PATIENCE,
            )
            used = testbed.used(cluster.pid) - before
        spent = span(watch, ids)
        written = writes.read(watch) - earlier
        looks += writes.COMMITS
    done = _round(testbed, "orbit", cycles, spent, used, commits + looks + 1, counted=counted)
    return replace(done, written=written)


def start(testbed: Testbed, cycles: int) -> list[str]:
    """Trigger ``cycles`` cycles, one in each namespace; return their ids."""
    starts = subprocess.run(
        [sys.executable, "-m", "benchmarks.starts", str(cycles)],
        cwd=testbed.project,
        env=testbed.environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [identifier for identifier, _ in json.loads(starts.stdout)]


def some_started(watch: psycopg.Connection, ids: list[str]) -> bool:
    """Tell whether one of the cycles has started."""
    return watch.execute(_STARTED, [ids]).fetchone() is not None


def some_active(watch: psycopg.Connection, ids: list[str]) -> bool:
    """Tell whether one of the cycles has not ended."""
    return watch.execute(_ACTIVE, [ids]).fetchone() is not None


def span(watch: psycopg.Connection, ids: list[str]) -> tuple[datetime, datetime]:
    """Return the first start and the last finish. Raises RuntimeError unless all succeeded."""
    [(first, last, statuses)] = watch.execute(_SPAN, [ids]).fetchall()
    if statuses != ["success"]:
        raise RuntimeError(f"Not every cycle succeeded: {statuses}")
    return first, last


def check_sink(testbed: Testbed, cycles: int) -> None:
    """Raise RuntimeError unless the sink got each delivery of ``cycles`` cycles once."""
    stats = testbed.sink("GET", "/stats")
    counts = (stats["requests"], stats["keys"], stats["denied"], stats["doubled"])
    if counts != (3 * cycles, 3 * cycles, 0, 0):
        raise RuntimeError(
            f"The sink got {stats['requests']} requests under {stats['keys']} keys, "
            f"{stats['denied']} refused, for {cycles} cycles."
        )


def _baseline(testbed: Testbed, cycles: int, *, counted: bool = False) -> Round:
    _log_statements(testbed, "baseline", on=counted)
    testbed.sink("POST", "/reset")
    commits = testbed.commits("baseline")
    command = [
        sys.executable,
        "-m",
        "benchmarks.baseline",
        testbed.server.url("orbit_app", "baseline"),
        f"http://127.0.0.1:{testbed.sink_port}",
        str(cycles),
    ]
    with testbed.running(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = testbed.used(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        if not process.stdout.readline():
            raise RuntimeError("The baseline failed.")
        used = testbed.used(process.pid) - before
        process.stdin.close()
        process.wait(30)
    with testbed.watch("baseline") as watch:
        [(first, last)] = watch.execute(_BASELINE_SPAN, [cycles]).fetchall()
    return _round(testbed, "baseline", cycles, (first, last), used, commits + 1, counted=counted)


def _round(
    testbed: Testbed,
    database: str,
    cycles: int,
    span: tuple[datetime, datetime],
    used: meters.Used,
    commits: int,
    *,
    counted: bool,
) -> Round:
    check_sink(testbed, cycles)
    log = testbed.server.data.with_name("postgres.log")
    statements = (
        meters.statements(log, database, *span, without=WATCHER) / cycles if counted else None
    )
    return Round(
        rate=cycles / (span[1] - span[0]).total_seconds(),
        program_ms=used.program * 1000 / cycles,
        server_ms=used.server * 1000 / cycles,
        commits=(testbed.commits(database) - commits) / cycles,
        statements=statements,
    )


def _log_statements(testbed: Testbed, database: str, *, on: bool) -> None:
    with testbed.watch("postgres", owner=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET log_statement = {}").format(
            sql.Identifier(database), sql.Literal("all" if on else "none")
        )
        connection.execute(statement)
