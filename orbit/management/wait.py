"""Wait for a cycle at a terminal."""

import time
from uuid import UUID

from orbit.models import CycleRun
from orbit.states import CYCLE, Cycle

_POLL_SECONDS = 0.2


def for_cycle(cycle_id: UUID, *, timeout: float) -> Cycle:
    """Return the cycle's status at its end, or after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        status = Cycle(CycleRun.objects.values_list("status", flat=True).get(pk=cycle_id))
        if status in CYCLE.final or time.monotonic() >= deadline:
            return status
        time.sleep(_POLL_SECONDS)
