"""``manage.py resume NAMESPACE --reason R``."""

from typing import Any

from django.core.management.base import CommandParser

from governance.access import actors
from governance.management.commands._stopping import StopCommand
from governance.namespaces import halts


class Command(StopCommand):
    help = "End the halt or drain of a namespace. Its cycles continue where they stopped."
    has_until = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        status = halts.resume(
            options["namespace"], actor=actors.operator(), reason=options["reason"]
        )
        self.show(status.to_dict(), options, f"{status.namespace} is {status.state}")
