"""``manage.py pause --reason R``."""

from typing import Any

from governance.access import actors
from governance.management.commands._stopping import StopCommand, until_of
from governance.namespaces import pauses


class Command(StopCommand):
    help = "Pause the workspace: within a second no delivery starts anywhere, until `unpause`."

    def handle(self, *args: Any, **options: Any) -> None:
        status = pauses.pause(
            actor=actors.operator(), reason=options["reason"], until=until_of(options)
        )
        sentence = f"everything is paused by the {status.source}: {status.reason}"
        self.show(status.to_dict(), options, sentence)
