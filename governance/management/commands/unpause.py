"""``manage.py unpause --reason R``."""

from typing import Any

from governance.access import actors
from governance.management.commands._stopping import StopCommand
from governance.namespaces import pauses


class Command(StopCommand):
    help = "Ends the pause of everything. One that ORBIT_GLOBAL_PAUSE holds ends with the processes that have it."
    may_end = False

    def handle(self, *args: Any, **options: Any) -> None:
        found = pauses.unpause(actor=actors.operator(), reason=options["reason"])
        self.show(found.data(), options, "nothing is paused")
