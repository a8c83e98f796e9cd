"""``manage.py unpause --reason R``."""

from typing import Any

from governance.access import actors
from governance.management.commands._stopping import StopCommand
from governance.namespaces import pauses


class Command(StopCommand):
    help = "End the pause of the workspace. It doesn't end ORBIT_GLOBAL_PAUSE: unset that instead."
    has_until = False

    def handle(self, *args: Any, **options: Any) -> None:
        status = pauses.unpause(actor=actors.operator(), reason=options["reason"])
        self.show(status.to_dict(), options, "nothing is paused")
