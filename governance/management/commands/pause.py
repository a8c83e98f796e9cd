"""``manage.py pause --reason R``."""

from typing import Any

from governance.access import actors
from governance.management.commands._stopping import StopCommand, until_of
from governance.namespaces import pauses


class Command(StopCommand):
    help = "Pauses everything on every machine: within a second no delivery starts anywhere, until `unpause`."

    def handle(self, *args: Any, **options: Any) -> None:
        found = pauses.pause(
            actor=actors.operator(), reason=options["reason"], until=until_of(options)
        )
        self.show(
            found.data(), options, f"everything is paused by the {found.source}: {found.reason}"
        )
