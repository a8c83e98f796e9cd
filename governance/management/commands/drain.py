"""``manage.py drain NAMESPACE --reason R``."""

from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.management.commands._stopping import StopCommand, until_of
from governance.namespaces import halts


class Command(StopCommand):
    help = "Drain a namespace: running cycles finish, nothing new starts, until it is resumed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        status = halts.drain(
            options["namespace"],
            actor=actors.operator(),
            reason=options["reason"],
            until=until_of(options),
        )
        sentence = f"{status.namespace} is {status.state}: {status.reason}"
        self.show(status.to_dict(), options, sentence)
