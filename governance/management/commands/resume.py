"""``manage.py resume NAMESPACE --reason R``."""

from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.management.commands._stopping import StopCommand
from governance.namespaces import halts


class Command(StopCommand):
    help = "Ends the halt or drain of a namespace: its cycles go on where they were stopped."
    may_end = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found = halts.resume(
            options["namespace"], actor=actors.operator(), reason=options["reason"]
        )
        self.show(found.data(), options, f"{found.namespace} is {found.state}")
