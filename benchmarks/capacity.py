"""What one PostgreSQL carries, computed from what a cycle costs.

``python -m benchmarks.capacity --cores 16 --disk-gb 1000`` prints it. ``make bench scale`` measures
the costs and prints them as options of this command. It computes only: what isn't in the costs,
such as locks that queue up or a slow network, isn't in the answer.
"""

import argparse
import sys
from dataclasses import dataclass, fields

DAY = 86_400
KIB, GIB = 1024, 1024**3
#: Threads of a web process with a connection (``orbit_site/web/shares.py``).
WEB_CONNECTIONS = 17


@dataclass(frozen=True, slots=True)
class Costs:
    """What a cycle costs, with its trigger. The defaults are those in ``docs/scale.md``."""

    #: Milliseconds of CPU time.
    database_ms: float = 2.9
    worker_ms: float = 2.44
    #: Rows inserted, updated and deleted.
    rows: float = 53.9
    wal_kib: float = 33.1
    #: Disk: deleted after ORBIT_RETENTION_DAYS, after ORBIT_TELEMETRY_RETENTION_DAYS, never.
    history_kib: float = 15.2
    telemetry_kib: float = 2.9
    forever_kib: float = 1.1

    def options(self) -> str:
        """Return them as options of this command."""
        return " ".join(f"{_option(name)} {getattr(self, name):g}" for name in _names(Costs))


@dataclass(frozen=True, slots=True)
class Server:
    """One PostgreSQL."""

    cores: float = 2
    #: The share of its CPU time that cycles may take on average in the peak hour.
    load: float = 0.6
    disk_gb: float = 500
    #: The share of the disk that data may fill; the rest is for WAL, vacuum and indexes.
    fill: float = 0.7
    #: What the disk or the replication takes of WAL.
    wal_mb_s: float = 50
    max_connections: int = 400


@dataclass(frozen=True, slots=True)
class Installation:
    """Orbit's processes and settings."""

    #: Cycles of the peak hour by those of an average hour.
    peak: float = 3
    workers: int = 2
    concurrency: int = 8
    web_servers: int = 2
    web_workers: int = 2
    #: The share of a core that a worker process keeps busy in the peak hour.
    worker_load: float = 0.7
    retention_days: float = 90
    telemetry_days: float = 30
    #: For how long what stays for good has been collected.
    years: float = 3


@dataclass(frozen=True, slots=True)
class Capacity:
    """The answer. A limit is in cycles a day; the smallest one holds."""

    limits: dict[str, float]
    per_day: float
    per_second: float
    rows_per_day: float
    wal_gb_per_day: float
    disk_gb: float
    worker_processes: int
    clusters: int
    connections: int

    @property
    def limit(self) -> str:
        """The name of the limit that holds."""
        return min(self.limits, key=self.limits.__getitem__)


def connections_of_cluster(workers: int, concurrency: int) -> int:
    """Return the connections of a cluster.

    A worker has its slots, writer, main thread, listener and gate monitor; the maintenance process
    its main thread, its listener and three threads.
    """
    return workers * (concurrency + 4) + 5


def disk_kib(costs: Costs, installation: Installation) -> float:
    """Return the disk that one cycle a day takes in the end."""
    return (
        costs.history_kib * installation.retention_days
        + costs.telemetry_kib * installation.telemetry_days
        + costs.forever_kib * installation.years * 365
    )


def compute(costs: Costs, server: Server, installation: Installation) -> Capacity:
    """Return what ``server`` carries."""
    in_peak = DAY / installation.peak  # cycles a day for each cycle a second in the peak hour
    per_worker = installation.worker_load * 1000 / costs.worker_ms
    spare = server.max_connections - (
        installation.web_servers * installation.web_workers * WEB_CONNECTIONS
    )
    of_cluster = connections_of_cluster(installation.workers, installation.concurrency)
    most_workers = max(0, spare // of_cluster) * installation.workers
    limits = {
        "CPU": server.cores * server.load * 1000 / costs.database_ms * in_peak,
        "WAL": server.wal_mb_s * 1e6 / (costs.wal_kib * KIB) * in_peak,
        "disk": server.disk_gb * 1e9 * server.fill / (disk_kib(costs, installation) * KIB),
        "connections": most_workers * per_worker * in_peak,
    }
    per_day = min(limits.values())
    per_second = per_day / in_peak
    processes = _whole(per_second / per_worker)
    clusters = _whole(processes / installation.workers)
    return Capacity(
        limits=limits,
        per_day=per_day,
        per_second=per_second,
        rows_per_day=per_day * costs.rows,
        wal_gb_per_day=per_day * costs.wal_kib * KIB / 1e9,
        disk_gb=per_day * disk_kib(costs, installation) * KIB / 1e9,
        worker_processes=processes,
        clusters=clusters,
        connections=server.max_connections - spare + clusters * of_cluster,
    )


def lines(answer: Capacity) -> list[str]:
    """Return the answer as a table."""
    return [
        f"{answer.per_day:>16,.0f} cycles a day, {answer.per_second:.0f} a second in the peak hour",
        f"{answer.rows_per_day:>16,.0f} rows written a day, {answer.wal_gb_per_day:,.0f} GB of WAL",
        f"{answer.disk_gb:>16,.0f} GB of disk, once what is deleted is as much as what comes",
        f"{answer.connections:>16,} connections: {answer.clusters} clusters with "
        f"{answer.worker_processes} busy workers, and the web servers",
        "Limits, in cycles a day:",
        *(
            f"{per_day:>16,.0f} {name}{'   <- holds' if name == answer.limit else ''}"
            for name, per_day in sorted(answer.limits.items(), key=lambda item: item[1])
        ),
    ]


def _whole(value: float) -> int:
    """Return ``value`` rounded up."""
    # A rounding error must not cost a process.
    return -int(-(value - 1e-9) // 1)


def _names(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def main(arguments: list[str]) -> int:
    """Run with the command line's arguments; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description="What one PostgreSQL carries, computed from what a cycle costs.",
    )
    kinds = (Costs, Server, Installation)
    for kind in kinds:
        group = parser.add_argument_group(str(kind.__doc__).split(".")[0])
        for each in fields(kind):
            group.add_argument(
                _option(each.name),
                type=type(each.default),
                default=each.default,
                metavar="N",
                help=f"default {each.default:g}",
            )
    values = vars(parser.parse_args(arguments))
    bad = [name for name, value in values.items() if value <= 0 and name != "web_servers"]
    if bad:
        parser.error(f"{_option(bad[0])} must be above 0")
    costs, server, installation = (
        kind(**{name: values[name] for name in _names(kind)}) for kind in kinds
    )
    print("\n".join(lines(compute(costs, server, installation))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
