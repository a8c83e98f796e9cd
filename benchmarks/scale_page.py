"""The tables of ``docs/scale.md``, so that new figures are pasted and not typed.

``make bench scale`` prints all of them. ``python -m benchmarks.scale_page`` computes the last one
from the defaults of ``benchmarks.capacity``.
"""

import statistics

from benchmarks.capacity import Costs, Installation, Server, compute
from benchmarks.scale import Result

MILLION = 1_000_000
#: The kinds of waits that the page shows.
SHOWN = ("CPU", "flush", "locks", "latches", "program")
#: The servers and the retention of the last table.
EXAMPLES = (
    ("4 cores, 500 GB", Server(cores=4, disk_gb=500), Installation()),
    ("16 cores, 2 TB", Server(cores=16, disk_gb=2_000), Installation()),
    (
        "16 cores, 2 TB",
        Server(cores=16, disk_gb=2_000),
        Installation(retention_days=7, telemetry_days=3),
    ),
    ("64 cores, 30 TB", Server(cores=64, disk_gb=30_000), Installation()),
)


def lines(result: Result) -> list[str]:
    """Return the tables of one run of the benchmark."""
    return [
        "For docs/scale.md:",
        *measured(result),
        *sessions(result),
        *computed(result.costs()),
        "The defaults of benchmarks.capacity are the costs above.",
    ]


def measured(result: Result) -> list[str]:
    """Return the rows of the table of rates."""
    rows = []
    for clusters, rounds in result.rounds.items():
        ours, server = (statistics.median(each.idle[at] for each in rounds) for at in (0, 1))
        figures = [
            f"{clusters}",
            f"{result.median(clusters, 'rate'):.0f}",
            f"{result.ratio(clusters):.2f}",
            f"{result.median(clusters, 'ours'):.2f}, {result.median(clusters, 'cores'):.2f}",
            f"{result.median(clusters, 'worker_ms'):.2f} + "
            f"{result.median(clusters, 'server_ms'):.2f}",
            f"{result.seen(clusters).connections}",
            f"{result.median(clusters, 'commits'):.1f}",
            f"{result.median(clusters, 'wal_kib'):.1f}",
            f"{ours:.1f} + {server:.1f}",
        ]
        rows.append(_row(figures))
    return rows


def sessions(result: Result) -> list[str]:
    """Return the rows of the table of sessions."""
    return [
        _row([f"{clusters}", *(f"{result.seen(clusters).sessions(kind):.2f}" for kind in SHOWN)])
        for clusters in result.rounds
    ]


def computed(costs: Costs) -> list[str]:
    """Return the rows of the table of what servers carry."""
    rows = []
    for name, server, orbit in EXAMPLES:
        answer = compute(costs, server, orbit)
        figures = [
            name,
            f"{orbit.retention_days:g}, {orbit.telemetry_days:g} days",
            rough(answer.per_day),
            answer.limit,
            rough(answer.limits["CPU"]),
        ]
        rows.append(_row(figures))
    return rows


def rough(number: float) -> str:
    """Return a number of cycles with two digits; of millions without a fraction from ten on."""
    if number >= 10 * MILLION:
        return f"{number / MILLION:.0f} million"
    if number >= MILLION:
        return f"{number / MILLION:.1f} million"
    return f"{float(f'{number:.2g}'):,.0f}"


def _row(figures: list[str]) -> str:
    return f"| {' | '.join(figures)} |"


if __name__ == "__main__":
    print("\n".join(computed(Costs())))
