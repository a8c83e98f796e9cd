"""App configuration."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from governance.operations.slices import Slice


class AdvisoryConfig(AppConfig):
    """The app ``advisory``."""

    name = "advisory"

    def ready(self) -> None:
        """Have signals computed every night."""
        # It needs models, which can't be imported before.
        from governance.operations import nightly_work

        nightly_work.register("advisory.signals", _compute_signals)


def _compute_signals(slice_: "Slice") -> datetime | None:
    # Commands and web start faster without what this imports.
    from advisory import tasks

    return tasks.run_slice(slice_)
