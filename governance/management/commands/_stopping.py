"""What the commands that stop and go on have in common: their arguments, a time, and what they print."""

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from governance.kernel.commands import OrbitCommand
from governance.namespaces.stops import UntilInvalid
from governance.rest import queries


class StopCommand(OrbitCommand):
    """A command that stops something or lets it go on."""

    #: Whether it may carry an end.
    may_end = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="", help="Why, in words.")
        if self.may_end:
            parser.add_argument(
                "--until",
                metavar="TIME",
                help="When it ends by itself, such as 2026-01-31T06:00:00Z. Left out: never.",
            )
        parser.add_argument("--json", action="store_true")

    def show(self, found: dict[str, Any], options: dict[str, Any], sentence: str) -> None:
        """Print the state as one document, or as a sentence."""
        if options["json"]:
            self.print_json(found)
        else:
            self.say(sentence)


def until_of(options: dict[str, Any]) -> datetime | None:
    """Return the end that was asked for. Raises UntilInvalid."""
    if options["until"] is None:
        return None
    try:
        found: datetime = queries.moment(options["until"])
    except ValueError as error:
        raise UntilInvalid(f"--until {error}.") from None
    return found
