"""What the queue calls."""

import time
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from orbit import queue, ticks
from orbit.cycles import shift

SHORT_SECONDS = 1.0
REST = timedelta(seconds=0.5)


def advance() -> None:
    """Carry the cycles that are due, and leave a wake-up for the next one that is known."""
    began = time.monotonic()
    queue.collapse()
    due = shift.run()
    if due is not None:
        # What a short shift left undone it may not have: without a rest it would come back at once, for ever.
        rested = time.monotonic() - began >= SHORT_SECONDS
        queue.wake(at=due if rested else max(due, timezone.now() + REST))


def tick(tick_id: str) -> None:
    """Do what the tick ``tick_id`` is for, unless somebody did."""
    ticks.perform(UUID(tick_id))
