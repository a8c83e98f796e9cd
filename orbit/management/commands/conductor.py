"""``manage.py conductor``: runs and tasks for work done elsewhere."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel import strict_json
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.progress import Progress
from orbit.conductor import aggregate, create, demo, fanout

# Another worker holds the parents that are left.
_WAIT_SECONDS = 0.2
#: As of a body of POST /conductor/runs.
_MOST_BYTES = 1024 * 1024


class DocumentUnreadable(OrbitError):
    """The document can't be read."""

    code, kind = "unreadable_document", Kind.INVALID


class DocumentTooLarge(OrbitError):
    """This document is over 1 MiB."""

    code, kind = "document_too_large", Kind.TOO_LARGE


class Command(OrbitCommand):
    help = "Creates conductor runs, shows one, and does their upkeep by hand."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        creation = actions.add_parser("create", help="Create a run from a JSON document.")
        creation.add_argument("file", help="The document, as for POST /conductor/runs; - is stdin.")
        creation.add_argument("--json", action="store_true")
        creation.set_defaults(call=self._create)
        demonstration = actions.add_parser(
            "demo", help="Do a run from its creation to its end and print the state at each step."
        )
        demonstration.add_argument("--json", action="store_true")
        demonstration.set_defaults(call=self._demo)
        aggregation = actions.add_parser(
            "aggregate", help="End parents and runs by their children, until nothing is left to do."
        )
        aggregation.add_argument("--json", action="store_true")
        aggregation.set_defaults(call=self._aggregate)
        fanning = actions.add_parser(
            "fanout", help="Make the children of parents until nothing is pending."
        )
        fanning.add_argument("--json", action="store_true")
        fanning.set_defaults(call=self._fan_out)

    def handle(self, *args: Any, **options: Any) -> None:
        options["call"](options)

    def _create(self, options: dict[str, Any]) -> None:
        document = strict_json.loads(_read(options["file"]))
        created = create.create(document, actor=actors.operator())
        if options["json"]:
            self.print_json({"id": created.id, "state": created.state})
        else:
            number = len(created.tasks)
            self.say(f"run {created.id} created with {number} task{'' if number == 1 else 's'}")

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

    def _fan_out(self, options: dict[str, Any]) -> None:
        children = completed = failed = passes = 0
        with Progress(self.stderr) as progress:
            while True:
                done = fanout.run_fanout_once()
                children += done.children
                completed += done.completed
                failed += done.failed
                passes += done.did_something
                progress.show("fan-out", children, unit="children")
                if done.did_something:
                    continue
                if not fanout.is_pending():
                    break
                time.sleep(_WAIT_SECONDS)
        document = {
            "children": children,
            "parents": completed,
            "failed": failed,
            "passes": passes,
        }
        if options["json"]:
            self.print_json(document)
        else:
            self.say(
                f"{children} children of {completed} parents made in {passes} passes; "
                f"{failed} parents failed for a bad input.fanout"
            )

    def _demo(self, options: dict[str, Any]) -> None:
        steps = []
        for step in demo.steps(actor=actors.operator()):
            steps.append(step.to_dict())
            if not options["json"]:
                self.say(f"{step.title}: run {step.run_id} is {step.run_state}")
                for name, state in step.tasks.items():
                    self.say(f"  {name} {state}")
        if options["json"]:
            self.print_json({"steps": steps})


def _read(file: str) -> bytes:
    longest = _MOST_BYTES + 1  # /dev/zero never ends
    try:
        if file == "-":
            text = sys.stdin.buffer.read(longest)
        else:
            with Path(file).open("rb") as source:
                text = source.read(longest)
    except OSError as error:
        raise DocumentUnreadable(f"{file} can't be read: {error.strerror}.") from error
    if len(text) == longest:
        raise DocumentTooLarge(f"{file} is over 1 MiB. Make several runs of it.")
    return text
