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
        """Have signals computed every night."""
        # It needs models, which can't be imported before.
        from governance.operations import nightly_work
        from orbit.retention import exemptions

        nightly_work.register("advisory.signals", _compute_signals)
        exemptions.register("pending proposals", _referred_cycles)


def _referred_cycles() -> "list[Referred]":
    from advisory.proposals import referred_cycles

    return referred_cycles.of_pending()


def _compute_signals(slice_: "Slice") -> datetime | None:
    # Commands and web start faster without what this imports.
    from advisory import tasks

    return tasks.run_slice(slice_)
