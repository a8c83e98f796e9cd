"""App configuration."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from governance.operations.slices import Slice
    from orbit.retention.exemptions import Referred


class AdvisoryConfig(AppConfig):
    """The app ``advisory``."""

    name = "advisory"

    def ready(self) -> None:
        """Have signals computed once a day, and proposals expire."""
        # It needs models, which can't be imported before.
        from governance.operations import periodic
        from governance.states import Every
        from orbit.retention import exemptions

        periodic.register(periodic.Work("advisory.signals", Every.DAY, _compute_signals))
        periodic.register(periodic.Work("ops.expire_proposals", Every.MINUTE, _expire_proposals))
        exemptions.register("pending proposals", _referred_cycles)


def _referred_cycles() -> "list[Referred]":
    from advisory.proposals import referred_cycles

    return referred_cycles.of_pending()


def _compute_signals(slice_: "Slice") -> datetime | None:
    # Commands and web start faster without what this imports.
    from advisory import tasks
    from telemetry import waiting

    return waiting.for_database(tasks.run_slice)(slice_)


def _expire_proposals(slice_: "Slice") -> datetime | None:
    from advisory import tasks

    return tasks.expire_proposals(slice_)
