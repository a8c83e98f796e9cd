"""The base of the commands that stop and resume."""

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from governance.kernel.commands import OrbitCommand
from governance.namespaces.stops import UntilInvalid
from governance.rest import queries


class StopCommand(OrbitCommand):
    """A command that stops or resumes something."""

    #: Whether ``--until`` is offered.
    has_until = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="", help="Why, in words.")
        if self.has_until:
            parser.add_argument(
                "--until",
                metavar="TIME",
                help="When it ends by itself, such as 2026-01-31T06:00:00Z. Default: never.",
            )
        parser.add_argument("--json", action="store_true")

    def show(self, document: dict[str, Any], options: dict[str, Any], sentence: str) -> None:
        """Print ``document``, or the sentence without ``--json``."""
        if options["json"]:
            self.print_json(document)
        else:
            self.say(sentence)


def until_of(options: dict[str, Any]) -> datetime | None:
    """Return the value of ``--until``. Raises UntilInvalid."""
    if options["until"] is None:
        return None
    try:
        until: datetime = queries.moment(options["until"])
    except ValueError as error:
        raise UntilInvalid(f"--until {error}.") from None
    return until
