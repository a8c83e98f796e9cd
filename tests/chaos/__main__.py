"""``python -m tests.chaos``: kill Orbit in many ways, then check what must hold.

Prints the seed and a line for each scenario. Exits with 1 if anything was violated. It takes about
ten minutes.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import django

from tests.support import database


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Kill Orbit in many ways, then audit the database.",
    )
    parser.add_argument(
        "--seed", type=int, help="repeat the choices of a run: order of kills, waits"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="run only this scenario; repeatable",
    )
    parser.add_argument(
        "--minutes", type=float, help="how long the load of the scenario `conductor` goes on"
    )
    parser.add_argument(
        "--two-databases", action="store_true", help="give telemetry a database of its own"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    options = parser.parse_args()
    # If this program is ended, end everything that it started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="orbit-chaos-"))
    folder.chmod(0o755)  # root's PostgreSQL runs as another user, who needs access
    server = database.start_test_server()
    os.environ.update(
        database.environment(server, "postgres", separate=options.two_databases),
        DJANGO_SETTINGS_MODULE="orbit_site.settings",
    )
    django.setup()
    try:
        return _run(parser, options, folder)
    finally:
        if not any(folder.iterdir()):
            shutil.rmtree(folder)
        database.stop_test_server()


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace, folder: Path) -> int:
    # Models can't be imported before Django is set up.
    from orbit_site.processes import postgres
    from tests.chaos import report, scenarios

    if options.list:
        for name, scenario in scenarios.SCENARIOS.items():
            print(f"{name:<22}{(scenario.act.__doc__ or '').splitlines()[0]}")
        return 0
    names = options.only or list(scenarios.SCENARIOS)
    if unknown := [name for name in names if name not in scenarios.SCENARIOS]:
        parser.error(f"unknown: {', '.join(unknown)}. --list shows the names.")
    seed = random.randrange(10**6) if options.seed is None else options.seed
    seconds = None if options.minutes is None else round(60 * options.minutes)
    print(f"seed {seed}\n\n{report.HEAD}", flush=True)
    results = []
    for name in names:
        result = scenarios.run(
            name, postgres.locate(database.BASE), folder / name, seed, load_seconds=seconds
        )
        results.append(result)
        print(result.line(), flush=True)
        for line in [*(f"VIOLATION {violation}" for violation in result.violations), *result.notes]:
            print(f"    {line}", flush=True)
    whole = report.total(results)
    print(f"{whole.line()}\n\n{len(whole.violations)} violations; repeat with --seed {seed}")
    if whole.violations:
        print(f"the logs are in {folder}")
    return 1 if whole.violations else 0


if __name__ == "__main__":
    sys.exit(main())
