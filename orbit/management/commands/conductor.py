"""``manage.py conductor``: runs and tasks for work done elsewhere."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel import strict_json
from governance.kernel.commands import OrbitCommand
from orbit.conductor import aggregate, create


class Command(OrbitCommand):
    help = "Creates conductor runs and does their upkeep by hand."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        creation = actions.add_parser("create", help="Create a run from a JSON document.")
        creation.add_argument("file", help="The document, as for POST /conductor/runs; - is stdin.")
        creation.add_argument("--json", action="store_true")
        creation.set_defaults(call=self._create)
        aggregation = actions.add_parser(
            "aggregate", help="End parents and runs by their children, until nothing is left to do."
        )
        aggregation.add_argument("--json", action="store_true")
        aggregation.set_defaults(call=self._aggregate)

    def handle(self, *args: Any, **options: Any) -> None:
        options["call"](options)

    def _create(self, options: dict[str, Any]) -> None:
        is_stdin = options["file"] == "-"
        text = sys.stdin.buffer.read() if is_stdin else Path(options["file"]).read_bytes()
        created = create.create(strict_json.loads(text), actor=actors.operator())
        if options["json"]:
            self.print_json({"id": created.id, "state": created.state})
        else:
            self.say(f"run {created.id} created with {len(created.tasks)} tasks")

    def _aggregate(self, options: dict[str, Any]) -> None:
        done = aggregate.run_to_end()
        if options["json"]:
            self.print_json(
                {
                    "succeeded": done.succeeded,
                    "failed": done.failed,
                    "cancelled": done.cancelled,
                    "runs_ended": done.runs_ended,
                    "tasks_cancelled": done.tasks_cancelled,
                }
            )
        else:
            self.say(
                f"parents: {done.succeeded} succeeded, {done.failed} failed, "
                f"{done.cancelled} cancelled; runs ended: {done.runs_ended}; "
                f"tasks cancelled under them: {done.tasks_cancelled}"
            )
