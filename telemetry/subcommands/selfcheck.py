"""``telemetry selfcheck``: the verification checklist, walked on this installation."""

import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from governance.kernel.commands import OrbitCommand
from telemetry.selfcheck import checks

HELP = (
    "Walk the verification checklist on this installation: a simulated run is ingested and "
    "followed through every part. Exit code: 0 if every line passes, else 1."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="one JSON document")


def handle(command: OrbitCommand, options: dict[str, Any]) -> None:
    """Print each line with its result."""
    lines = checks.walk()
    failed = sum(not line.ok for line in lines)
    if options["json"]:
        command.print_json({"ok": not failed, "lines": [asdict(line) for line in lines]})
    else:
        for line in lines:
            command.say(f"{'ok     ' if line.ok else 'failed '} {line.line}")
            if not line.ok:
                command.say(f"         {line.why} {line.mend}")
        command.say(
            f"{len(lines) - failed} of {len(lines)} lines pass."
            if failed
            else f"All {len(lines)} lines pass."
        )
    if failed:
        sys.exit(1)
