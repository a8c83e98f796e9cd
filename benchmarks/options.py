"""The command line of ``python -m benchmarks``."""

import argparse

from benchmarks import testbed

PARTS = ("cycles", "latency", "idle", "audit", "telemetry", "deliveries")
#: Only if named: it fills a database.
MORE_PARTS = ("claim", "backlog", "advice", "conductor", "console", "triggers", "scale")


def read() -> argparse.Namespace:
    """Return the options. Ends the program if one is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures Orbit beside a hand-written baseline."
    )
    parser.add_argument(
        "parts",
        nargs="*",
        choices=[*PARTS, *MORE_PARTS, []],
        metavar="PART",
        help="cycles, latency, idle, audit, telemetry, deliveries (default: these), claim, "
        "backlog, advice, conductor, console, triggers, scale",
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of cycles (5)")
    parser.add_argument(
        "--cycles",
        type=int,
        default=testbed.NAMESPACES,
        help=f"cycles in a round, at most {testbed.NAMESPACES}, which is the default",
    )
    parser.add_argument("--triggers", type=int, default=100, help="triggers by each door (100)")
    parser.add_argument(
        "--seconds", type=float, default=20, help="how long the idle stack is watched (20)"
    )
    parser.add_argument(
        "--delivery-cycles",
        type=int,
        default=200,
        help="cycles in a round of deliveries, 30 jobs each (200)",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="with deliveries: the workers' memory over 100,000 of them too (some minutes)",
    )
    parser.add_argument(
        "--due", type=int, default=1_000_000, help="with claim: the most due cycles (1,000,000)"
    )
    parser.add_argument(
        "--waiting",
        type=int,
        default=100_000,
        help="with backlog: the most cycles that wait (100,000)",
    )
    parser.add_argument(
        "--events",
        type=int,
        default=100_000,
        help="with telemetry: events of 1 KB in a round of ingest (100,000); a million is 1 GB",
    )
    parser.add_argument(
        "--signal-events",
        type=int,
        default=1_000_000,
        help="with advice: events that signals are computed over (1,000,000)",
    )
    parser.add_argument(
        "--tasks",
        type=int,
        default=1_000_000,
        help="with telemetry: tasks that are reconciled (1,000,000)",
    )
    parser.add_argument(
        "--conductor-tasks",
        type=int,
        default=20_000,
        help="with conductor: tasks that workers claim and complete in a round (20,000)",
    )
    parser.add_argument(
        "--conductor-children",
        type=int,
        default=1_000_000,
        help="with conductor: children of the largest parent (1,000,000)",
    )
    parser.add_argument(
        "--console-cycles",
        type=int,
        default=1_000_000,
        help="with console: cycles, and ten times as many events (1,000,000); takes 20 GB",
    )
    parser.add_argument(
        "--visits", type=int, default=10, help="with console: visits of each page (10)"
    )
    parser.add_argument(
        "--dropped",
        type=int,
        default=1_000_000,
        help="with telemetry: events of the largest day that is dropped (1,000,000)",
    )
    parser.add_argument(
        "--folder", help="make the temporary folder in here; it should be on the disk that counts"
    )
    options = parser.parse_args()
    if not 1 <= options.delivery_cycles <= testbed.NAMESPACES:
        parser.error(f"--delivery-cycles must be between 1 and {testbed.NAMESPACES}")
    if options.waiting < testbed.NAMESPACES:
        parser.error(f"--waiting must be at least {testbed.NAMESPACES}")
    if not 1 <= options.cycles <= testbed.NAMESPACES:
        parser.error(
            f"--cycles must be between 1 and {testbed.NAMESPACES}: "
            "each cycle has a namespace of its own"
        )
    return options
