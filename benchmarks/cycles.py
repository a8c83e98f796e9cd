"""Cycles per second end to end: Orbit's cluster and the baseline in turn, same server, same sink.

Orbit's queue is filled while no cluster runs, with one cycle per namespace; time runs from the
first ``started_at`` to the last ``finished_at``. CPU time is read at the same moments, so the start
of the processes doesn't count. Commits are PostgreSQL's own count. Statements are counted in a
small extra round with ``log_statement = all``, without BEGIN, COMMIT, SET and the like.
"""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from benchmarks import meters
from benchmarks.testbed import WATCHER, Testbed, until

PATIENCE = 300
_STARTED = "SELECT 1 FROM orbit_cyclerun WHERE id = ANY(%s) AND started_at IS NOT NULL LIMIT 1"
_ACTIVE = (
    "SELECT 1 FROM orbit_cyclerun WHERE id = ANY(%s) AND status IN ('pending', 'running') LIMIT 1"
)
_SPAN = "SELECT min(started_at), max(finished_at), array_agg(DISTINCT status) FROM orbit_cyclerun WHERE id = ANY(%s)"
_BASELINE_SPAN = "SELECT min(started_at), max(finished_at) FROM (SELECT * FROM run ORDER BY id DESC LIMIT %s) AS r"


@dataclass(frozen=True, slots=True)
class Round:
    """One side's round, per cycle unless a rate; statements are None if not counted."""

    rate: float
    program_ms: float
    server_ms: float
    commits: float
    statements: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds, in pairs, and those that counted statements."""

    orbit: list[Round]
    baseline: list[Round]
    orbit_counted: Round
    baseline_counted: Round

    @property
    def ratios(self) -> list[float]:
        """Orbit's rate divided by the baseline's, for each pair of rounds."""
        return [
            ours.rate / theirs.rate for ours, theirs in zip(self.orbit, self.baseline, strict=True)
        ]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


def measure(testbed: Testbed, *, rounds: int, cycles: int) -> Result:
    """Run both sides ``rounds`` times in turn. Raises RuntimeError if a delivery failed."""
    ours: list[Round] = []
    theirs: list[Round] = []
    for number in range(rounds):
        # Alternate who begins, so that a server that slows down favours neither.
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            side.append(_orbit(testbed, cycles) if side is ours else _baseline(testbed, cycles))
        print(
            f"round {number + 1} of {rounds}: orbit {ours[-1].rate:.1f}, baseline {theirs[-1].rate:.1f} cycles/s",
            file=sys.stderr,
            flush=True,
        )
    few = min(cycles, 100)
    return Result(
        ours, theirs, _orbit(testbed, few, counted=True), _baseline(testbed, few, counted=True)
    )


def _orbit(testbed: Testbed, cycles: int, *, counted: bool = False) -> Round:
    filled = subprocess.run([sys.executable, "-m", "benchmarks.starts", str(cycles)], cwd=testbed.project, env=testbed.environment, check=True,
                            stdout=subprocess.PIPE, text=True)  # fmt: skip
    ids = [identifier for identifier, _ in json.loads(filled.stdout)]
    _log_statements(testbed, "orbit", on=counted)
    testbed.sink("POST", "/reset")
    commits = testbed.commits("orbit")
    looks = 0
    with testbed.watch("orbit") as watch:

        def found(query: str) -> bool:
            nonlocal looks
            looks += 1
            return watch.execute(query, [ids]).fetchone() is not None

        with testbed.running(sys.executable, "manage.py", "cluster") as cluster:
            until(lambda: found(_STARTED), "the first cycle starts", seconds=60, every=0.02)
            before = testbed.used(cluster.pid)
            until(lambda: not found(_ACTIVE), "the last cycle ends", seconds=PATIENCE)
            used = testbed.used(cluster.pid) - before
        first, last, statuses = watch.execute(_SPAN, [ids]).fetchone()  # type: ignore[misc]
        if statuses != ["success"]:
            raise RuntimeError(f"Not every cycle succeeded: {statuses}")
    return _round(
        testbed, "orbit", cycles, (first, last), used, commits + looks + 1, counted=counted
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
        first, last = watch.execute(_BASELINE_SPAN, [cycles]).fetchone()  # type: ignore[misc]
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
    seen = testbed.sink("GET", "/stats")
    if (seen["requests"], seen["keys"], seen["denied"], seen["doubled"]) != (
        3 * cycles,
        3 * cycles,
        0,
        0,
    ):
        raise RuntimeError(
            f"The sink got {seen['requests']} requests under {seen['keys']} keys, {seen['denied']} refused, for {cycles} cycles."
        )
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
