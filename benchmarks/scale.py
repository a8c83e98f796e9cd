"""The same cycles by 1, 2, 4 and 8 clusters against one PostgreSQL: where it bends, and why.

Each cluster has one worker. The cycles exist before; a pause holds them until all clusters wait.
``python -m benchmarks.scale WORKERS`` ends the pause in Orbit's environment and wakes the workers.
"""

import itertools
import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import django
import psutil
import psycopg

from benchmarks import capacity, cycles, meters
from benchmarks.meters import Used
from benchmarks.testbed import WATCHER, Testbed, until
from benchmarks.waits import KINDS, Profile, Sampler

CLUSTERS = (1, 2, 4, 8)
#: How long all clusters are watched while they wait.
IDLE_SECONDS = 3.0
#: A doubling that brings less than this is where it bends.
BENT = 1.25
#: Cores that are busy for this share of the time are the limit.
FULL = 0.9
KIB = 1024
_READY = "SELECT count(*) FROM orbit_clusternode WHERE NOT draining AND pid = ANY(%s)"
_POSITION = (
    "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, pg_snapshot_xmax(pg_current_snapshot())::text"
)
_CHANGED = (
    "SELECT tup_inserted + tup_updated + tup_deleted FROM pg_stat_database WHERE datname = 'orbit'"
)
#: What retention deletes, what telemetry's own retention drops, and what stays for good.
_SIZES = """SELECT CASE
        WHEN relname LIKE 'telemetry%' THEN 'telemetry'
        WHEN relname LIKE 'governance_audit%' OR relname LIKE 'orbit_valueledger%' THEN 'forever'
        ELSE 'history'
    END, sum(pg_total_relation_size(oid))::bigint
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY 1"""
#: What a cycle leaves in the database. One claim each: a second has another token.
_AUDIT = """SELECT
    (SELECT count(*) FROM orbit_cyclerun WHERE id = ANY(%(ids)s) AND status = 'success'),
    (SELECT count(*) FROM orbit_cyclecheckpoint
     WHERE cycle_id = ANY(%(ids)s) AND stage = 'cycle_started'),
    (SELECT count(*) FROM orbit_cyclecheckpoint
     WHERE cycle_id = ANY(%(ids)s) AND stage = 'cycle_finished'),
    (SELECT count(*) FROM orbit_dispatchjob
     WHERE cycle_id = ANY(%(ids)s) AND status = 'delivered'),
    (SELECT count(*) FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id
     WHERE j.cycle_id = ANY(%(ids)s)),
    (SELECT count(DISTINCT (cycle_id, fencing_token)) FROM orbit_cyclecheckpoint
     WHERE cycle_id = ANY(%(ids)s))"""
_BUSIEST = r"""SELECT left(regexp_replace(query, '\s+', ' ', 'g'), 90), calls, total_exec_time
FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 5"""


@dataclass(frozen=True, slots=True)
class Round:
    """One round, per cycle unless said."""

    rate: float
    worker_ms: float
    server_ms: float
    trigger_ms: float
    commits: float
    rows: float
    wal_kib: float
    trigger_wal_kib: float
    #: Cores that were busy by the clusters and PostgreSQL, and by all that ran on this machine.
    ours: float
    cores: float
    #: Per cent of a core while all clusters wait: their processes, and PostgreSQL.
    idle: tuple[float, float]
    #: Cycles that were claimed more than once; none of them ran twice.
    reclaimed: int
    seen: Profile


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds by the number of clusters."""

    cycles: int
    cores: int
    rounds: dict[int, list[Round]]
    #: KiB of disk a cycle, by how long it stays.
    disk: dict[str, float]
    #: Statements by PostgreSQL's own count, if it has one: text, calls, milliseconds.
    busiest: list[tuple[str, int, float]]

    def median(self, clusters: int, name: str) -> float:
        """Return the median of a figure of so many clusters' rounds."""
        return statistics.median(getattr(each, name) for each in self.rounds[clusters])

    def ratio(self, clusters: int) -> float:
        """Return the rate by that of one cluster, round by round."""
        pairs = zip(self.rounds[clusters], self.rounds[min(self.rounds)], strict=True)
        return statistics.median(many.rate / one.rate for many, one in pairs)

    def seen(self, clusters: int) -> Profile:
        """Return what was seen in all rounds of so many clusters."""
        return sum((each.seen for each in self.rounds[clusters]), Profile())

    def costs(self) -> capacity.Costs:
        """Return what a cycle costs, at the most clusters: the dearest."""
        most = max(self.rounds)
        return capacity.Costs(
            database_ms=round(self.median(most, "server_ms") + self.median(most, "trigger_ms"), 2),
            worker_ms=round(self.median(most, "worker_ms"), 2),
            rows=round(self.median(most, "rows"), 1),
            wal_kib=round(self.median(most, "wal_kib") + self.median(most, "trigger_wal_kib"), 1),
            history_kib=round(self.disk["history"], 1),
            telemetry_kib=round(self.disk["telemetry"], 1),
            forever_kib=round(self.disk["forever"], 1),
        )


def measure(testbed: Testbed, *, rounds: int, count: int) -> Result:
    """Run ``count`` cycles by each number of clusters, ``rounds`` times.

    Raises RuntimeError if a cycle was lost, ran twice, or delivered twice.
    """
    taken: dict[int, list[Round]] = {clusters: [] for clusters in CLUSTERS}
    with testbed.watch("orbit", owner=True) as owner:
        before = _sizes(owner)
        for number in range(rounds):
            for clusters in reversed(CLUSTERS) if number % 2 else CLUSTERS:
                taken[clusters].append(_round(testbed, owner, clusters, count))
                print(
                    f"round {number + 1} of {rounds}, {clusters} clusters: "
                    f"{taken[clusters][-1].rate:.1f} cycles/s",
                    file=sys.stderr,
                    flush=True,
                )
        total = rounds * len(CLUSTERS) * count
        after = _sizes(owner)
        disk = {name: (size - before.get(name, 0)) / KIB / total for name, size in after.items()}
        return Result(count, os.cpu_count() or 1, taken, disk, _busiest(owner))


def _round(testbed: Testbed, owner: psycopg.Connection, clusters: int, count: int) -> Round:
    testbed.sink("POST", "/reset")
    changed, server = _changed(owner), meters.cpu_seconds(testbed.server_pid)
    start, _ = _position(owner)
    ids = cycles.start(testbed, count)
    trigger_ms = (meters.cpu_seconds(testbed.server_pid) - server) * 1000 / count
    end, _ = _position(owner)
    testbed.manage("pause", "--reason", "until all clusters wait")
    environment = {**testbed.environment, "ORBIT_WORKERS": "1"}
    with ExitStack() as stack:
        watch = stack.enter_context(testbed.watch("orbit"))
        sampled = stack.enter_context(testbed.watch("orbit", owner=True))
        pids = [
            stack.enter_context(
                testbed.running(sys.executable, "manage.py", "cluster", environment=environment)
            ).pid
            for _ in range(clusters)
        ]
        until(
            lambda: owner.execute(_READY, [pids]).fetchone() == (clusters,),
            f"{clusters} clusters are ready",
            seconds=120,
        )
        time.sleep(IDLE_SECONDS)
        idle = _idle(testbed, pids)
        begin, transactions = _position(owner)
        with ThreadPoolExecutor(1) as pool:
            released = pool.submit(testbed.measured, "scale", str(clusters))
            until(
                lambda: released.done() or cycles.some_started(watch, ids),
                "the first cycle starts",
                seconds=60,
                every=0.01,
            )
            used, busy, clock = _used(testbed, pids), _busy(), time.monotonic()
            with Sampler(sampled, "orbit", without=WATCHER) as sampler:
                until(
                    lambda: not cycles.some_active(watch, ids), "the last cycle ends", seconds=300
                )
                used, passed = _used(testbed, pids) - used, time.monotonic() - clock
                cores = (_busy() - busy) / passed
            released.result()
        position, last = _position(owner)
        for pid in pids:  # together: each takes a second
            psutil.Process(pid).terminate()
    rate, reclaimed = _audit(testbed, owner, ids)
    return Round(
        rate=rate,
        worker_ms=used.program * 1000 / count,
        server_ms=used.server * 1000 / count,
        trigger_ms=trigger_ms,
        commits=(last - transactions) / count,
        rows=(_changed(owner) - changed) / count,
        wal_kib=(position - begin) / KIB / count,
        trigger_wal_kib=(end - start) / KIB / count,
        ours=(used.program + used.server) / passed,
        cores=cores,
        idle=idle,
        reclaimed=reclaimed,
        seen=sampler.profile,
    )


def _idle(testbed: Testbed, pids: Sequence[int]) -> tuple[float, float]:
    used = _used(testbed, pids)
    time.sleep(IDLE_SECONDS)
    used = _used(testbed, pids) - used
    return 100 * used.program / IDLE_SECONDS, 100 * used.server / IDLE_SECONDS


def _used(testbed: Testbed, pids: Sequence[int]) -> Used:
    return Used(
        sum(meters.cpu_seconds(pid) for pid in pids), meters.cpu_seconds(testbed.server_pid)
    )


def _busy() -> float:
    """Return the seconds for which this machine's cores have been busy."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _position(owner: psycopg.Connection) -> tuple[int, int]:
    """Return the end of the WAL, and the number of the next transaction that writes."""
    row = owner.execute(_POSITION).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _changed(owner: psycopg.Connection) -> int:
    # Ended sessions report within a second.
    time.sleep(1.2)
    row = owner.execute(_CHANGED).fetchone()
    return int(row[0]) if row else 0


def _sizes(owner: psycopg.Connection) -> dict[str, int]:
    return {name: int(size) for name, size in owner.execute(_SIZES)}


def _busiest(owner: psycopg.Connection) -> list[tuple[str, int, float]]:
    if owner.execute("SELECT to_regclass('pg_stat_statements')").fetchone() == (None,):
        return []
    return [(text, int(calls), float(took)) for text, calls, took in owner.execute(_BUSIEST)]


def _audit(testbed: Testbed, owner: psycopg.Connection, ids: list[str]) -> tuple[float, int]:
    """Return the rate, and how many cycles were claimed again. Raises RuntimeError."""
    count = len(ids)
    cycles.check_sink(testbed, count)
    *rows, claims = counts(owner, ids)
    if problem := lost_or_doubled(count, *rows):
        raise RuntimeError(problem)
    first, last = cycles.span(owner, ids)
    return count / (last - first).total_seconds(), claims - count


def counts(connection: psycopg.Connection, ids: list[str]) -> tuple[int, ...]:
    """Return what the cycles left in the database, in the order of ``lost_or_doubled``; claims."""
    row = connection.execute(_AUDIT, {"ids": ids}).fetchone()
    assert row is not None
    return tuple(row)


def lost_or_doubled(
    count: int, succeeded: int, started: int, finished: int, delivered: int, attempts: int
) -> str:
    """Return what is wrong with ``count`` cycles of three deliveries; empty: nothing."""
    expected = {
        "succeeded": (succeeded, count),
        "started": (started, count),
        "finished": (finished, count),
        "jobs delivered": (delivered, 3 * count),
        "attempts": (attempts, 3 * count),
    }
    wrong = [f"{name}: {is_} of {due}" for name, (is_, due) in expected.items() if is_ != due]
    return f"{count} cycles: {', '.join(wrong)}" if wrong else ""


def bend(result: Result) -> str:
    """Return where doubling the clusters stops to pay, and what the sessions were at there."""
    sizes = sorted(result.rounds)
    for fewer, more in itertools.pairwise(sizes):
        gain = result.ratio(more) / result.ratio(fewer)
        if gain >= BENT:
            continue
        ours, busy = result.median(more, "ours"), result.median(more, "cores")
        seen = result.seen(more)
        waits = sorted((seen.sessions(kind), kind) for kind in KINDS if kind != "CPU")
        most, what = waits[-1]
        limit = "the cores" if busy >= FULL * result.cores else what
        return (
            f"It bends at {more} clusters ({gain:.2f} times {fewer}); the limit: {limit}. Busy are "
            f"{busy:.2f} of {result.cores} cores, {ours:.2f} by clusters and PostgreSQL. Most "
            f"sessions that wait: {what} ({most:.2f}); for locks {seen.sessions('locks'):.2f}."
        )
    return f"It doesn't bend up to {sizes[-1]} clusters."


def lines(result: Result) -> list[str]:
    """Return the tables."""
    rounds = len(result.rounds[min(result.rounds)])
    table = [
        "",
        f"Scale: clusters of one worker against one PostgreSQL, {result.cycles} cycles a round, "
        f"medians of {rounds} rounds; no cycle lost or run twice, no delivery doubled",
        f"{'clusters':>8}{'cycles/s':>10}{'of one':>8}{'cores: ours, all':>18}"
        f"{'CPU ms: workers':>17}{'PostgreSQL':>12}{'connections':>13}{'commits':>9}"
        f"{'WAL KiB':>9}{'rows':>7}{'claimed again':>15}{'idle %: clusters + PostgreSQL':>31}",
    ]
    for clusters, taken in result.rounds.items():
        idle = [statistics.median(each.idle[at] for each in taken) for at in (0, 1)]
        table.append(
            f"{clusters:>8}{result.median(clusters, 'rate'):>10.1f}{result.ratio(clusters):>8.2f}"
            f"{result.median(clusters, 'ours'):>12.2f}{result.median(clusters, 'cores'):>6.2f}"
            f"{result.median(clusters, 'worker_ms'):>17.2f}"
            f"{result.median(clusters, 'server_ms'):>12.2f}"
            f"{result.seen(clusters).connections:>13}{result.median(clusters, 'commits'):>9.1f}"
            f"{result.median(clusters, 'wal_kib'):>9.1f}{result.median(clusters, 'rows'):>7.1f}"
            f"{sum(each.reclaimed for each in taken):>15}{f'{idle[0]:.1f} + {idle[1]:.1f}':>31}"
        )
    return [*table, *_waits(result), *_statements(result), bend(result), _next(result.costs())]


def _waits(result: Result) -> list[str]:
    table = [
        "Sessions on average, by what they were at (CPU: they ran, or waited for a core)",
        f"{'clusters':>8}" + "".join(f"{kind:>9}" for kind in KINDS) + "   most frequent waits",
    ]
    for clusters in result.rounds:
        seen = result.seen(clusters)
        events = ", ".join(f"{name} {share:.2f}" for name, share in seen.shares(seen.events, 4))
        table.append(
            f"{clusters:>8}"
            + "".join(f"{seen.sessions(kind):>9.2f}" for kind in KINDS)
            + f"   {events}"
        )
    return table


def _statements(result: Result) -> list[str]:
    most = max(result.rounds)
    if result.busiest:
        return [
            "Statements that took longest, by pg_stat_statements",
            *(f"{took:>10.0f} ms {calls:>7} calls  {text}" for text, calls, took in result.busiest),
        ]
    seen = result.seen(most)
    return [
        f"Statements at {most} clusters, in sessions on average (pg_stat_statements isn't there)",
        *(f"{share:>8.2f}  {text}" for text, share in seen.shares(seen.statements, 6)),
    ]


def _next(costs: capacity.Costs) -> str:
    return f"What one PostgreSQL carries: python -m benchmarks.capacity {costs.options()}"


def main() -> None:
    django.setup()
    from governance.access.actors import SYSTEM
    from governance.namespaces import pauses
    from orbit import queue

    pauses.unpause(actor=SYSTEM, reason="all clusters wait")
    # The workers have used up the triggers' wake-ups during the pause.
    for _ in range(int(sys.argv[1])):
        queue.wake()
    print("true")


if __name__ == "__main__":
    main()
