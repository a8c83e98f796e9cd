"""``manage.py why``: explain why a run profile ran, or didn't."""

from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.kernel.commands import OrbitCommand
from governance.kernel.errors import Kind, OrbitError
from governance.rest import queries
from orbit.schedules import explain


class TimeInvalid(OrbitError):
    """Write a time as ISO 8601 with its zone, such as 2026-01-31T06:00:00Z."""

    code, kind = "invalid_time", Kind.INVALID


class Command(OrbitCommand):
    help = "Explains why a run profile ran at a time, or didn't."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run-profile", required=True)
        parser.add_argument(
            "--at",
            required=True,
            metavar="TIME",
            help=(
                "ISO 8601 with its zone, such as 2026-01-31T06:00:00Z or 2026-01-31T06:00:00+01:00."
            ),
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            at = queries.moment(options["at"])
        except ValueError as error:
            raise TimeInvalid(f"--at {error}.") from error
        answer = explain.explain(options["run_profile"], at, actor=actors.operator())
        if options["json"]:
            self.print_json({"answer": answer.sentence, "ran": answer.ran, "facts": answer.facts})
        else:
            self.say(answer.sentence)
