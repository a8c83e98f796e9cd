"""What the queue calls."""

import time
from datetime import timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from governance.operations import slices
from orbit import interrupts, queue
from orbit.cycles import runner
from orbit.cycles.rerun import bulk as rerun_bulk
from orbit.dispatch import bulk
from orbit.schedules import run_tick

SHORT_SECONDS = 1.0
REST = timedelta(seconds=0.5)

#: Does the slices of operation runs, by their type.
OPERATIONS: dict[str, slices.SliceHandler] = {
    action.type: action.run_slice for action in (bulk.REQUEUE, bulk.DISMISS, rerun_bulk.RERUN)
}


def advance() -> None:
    """Carry the cycles that are due, and leave a wake-up for the next one that is known.

    Where the database goes away in the middle that wake-up is missing: the keeper wakes what was forgotten.
    """
    began = time.monotonic()
    try:
        queue.collapse()
        due = runner.run()
        if due is not None:
            # What a short shift left undone it may not have: without a rest it would come back at once, for ever.
            rested = time.monotonic() - began >= SHORT_SECONDS
            queue.wake(at=due if rested else max(due, timezone.now() + REST))
    except (OperationalError, InterfaceError) as error:
        runner.complain("the database is away", error)
        connection.close()


def tick(*tick_ids: str) -> None:
    """Do what each of the ticks is for, unless somebody did."""
    for tick_id in tick_ids:
        interrupts.process.stamp()
        run_tick.run(UUID(tick_id))


def operate(run_id: str) -> None:
    """Do the next slice of the operation run ``run_id``, unless it isn't due, has ended, or somebody is at it."""
    slices.do_next(
        UUID(run_id), OPERATIONS, wake=lambda run, due: queue.wake(queue.OPERATE, str(run), at=due)
    )
