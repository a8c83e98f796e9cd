"""What the queue calls, each by its path."""

import time
from datetime import timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from governance.operations import slices
from orbit import interrupts, queue
from orbit.cycles import runner
from orbit.cycles.rerun import bulk as rerun_bulk
from orbit.cycles.runner import WorkerProcess
from orbit.dispatch import bulk
from orbit.schedules import run_tick

SHORT_SECONDS = 1.0
PAUSE = timedelta(seconds=0.5)

#: The worker process that runs these tasks: the one reference to it. Django-Q2 calls a task by its
#: path, with strings, so a task can't be handed the object. ``processes/worker.py`` sets it.
worker: WorkerProcess | None = None

#: Does the slices of operation runs, by their type.
OPERATIONS: dict[str, slices.SliceHandler] = {
    action.type: action.run_slice for action in (bulk.REQUEUE, bulk.DISMISS, rerun_bulk.RERUN)
}


def advance() -> None:
    """Run the cycles that are due; leave a wake-up for the next one.

    If the database goes away, the wake-up is missing: maintenance wakes what was forgotten.
    """
    if worker is None:
        raise RuntimeError("orbit.tasks.worker is not set: only a worker process runs cycles.")
    began = time.monotonic()
    try:
        queue.collapse()
        due = runner.run(worker)
        if due is not None:
            # After a short run the due cycles are those it may not have. Pause, or it would come
            # back at once, for ever.
            was_short = time.monotonic() - began < SHORT_SECONDS
            queue.wake(at=max(due, timezone.now() + PAUSE) if was_short else due)
    except (OperationalError, InterfaceError) as error:
        worker.log.report("the database is away", error)
        connection.close()


def tick(*tick_ids: str) -> None:
    """Perform the ticks; does nothing for those that were performed."""
    for tick_id in tick_ids:
        interrupts.process.stamp()
        run_tick.run(UUID(tick_id))


def operate(run_id: str) -> None:
    """Do the next slice of an operation run.

    Does nothing if it isn't due, has ended, or another worker is at it.
    """
    slices.do_next(
        UUID(run_id), OPERATIONS, wake=lambda run, due: queue.wake(queue.OPERATE, str(run), at=due)
    )
