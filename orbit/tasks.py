"""The tasks that the queue calls, by their paths."""

import functools
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from governance.kernel import availability, clock
from governance.operations import periodic, slices
from governance.operations.periodic import Work
from governance.states import Every
from orbit import interrupts, queue
from orbit.cycles import runner
from orbit.cycles.rerun import bulk as rerun_bulk
from orbit.cycles.runner import WorkerProcess
from orbit.dispatch import bulk
from orbit.housekeeping import work as housekeeping
from orbit.schedules import run_tick
from telemetry import waiting
from telemetry.reconcile import run as reconcile
from telemetry.retention import sweep

SHORT_SECONDS = 1.0
PAUSE = timedelta(seconds=0.5)
#: The longest statement of a slice; the database ends it then.
LONGEST_SLICE_SECONDS, STAMP_SECONDS = 600.0, 1.0

#: The worker process that runs these tasks. A global, because Django-Q2 passes only strings.
#: ``processes/worker.py`` sets it.
worker: WorkerProcess | None = None

#: Operation runs' slice handlers, by type.
OPERATIONS: dict[str, slices.SliceHandler] = {
    action.type: action.run_slice for action in (bulk.REQUEUE, bulk.DISMISS, rerun_bulk.RERUN)
}

#: A type that was renamed: runs of the release before it may wait.
RENAMED = {"telemetry.prune": sweep.TYPE}


def periodic_work() -> tuple[Work, ...]:
    """Return all periodic work. A slice of it may take LONGEST_SLICE_SECONDS."""
    return (
        Work(sweep.TYPE, Every.DAY, waiting.for_database(_prune_telemetry)),
        *(
            replace(work, run_slice=functools.partial(_stamped, work.run_slice))
            for work in (
                Work(reconcile.TYPE, Every.DAY, waiting.for_database(reconcile.run_slice)),
                *housekeeping.WORK,
                *periodic.registered(),
            )
        ),
    )


def handlers() -> dict[str, slices.SliceHandler]:
    """Return the handlers of slices by type."""
    all_types = OPERATIONS | {work.type: work.run_slice for work in periodic_work()}
    return all_types | {old: all_types[new] for old, new in RENAMED.items()}


def advance() -> None:
    """Run the cycles that are due; leave a wake-up for the next one."""
    if worker is None:
        raise RuntimeError("orbit.tasks.worker is not set: only a worker process runs cycles.")
    began = time.monotonic()
    try:
        queue.collapse()
        due = runner.run(worker)
        if due is not None:
            # After a short run the due cycles are those it couldn't claim. Without a pause it
            # would come back at once, again and again.
            was_short = time.monotonic() - began < SHORT_SECONDS
            queue.wake(at=max(due, clock.now() + PAUSE) if was_short else due)
    except (DatabaseError, InterfaceError) as error:
        if not availability.is_away(error):
            raise
        # The wake-up is missing now. Maintenance wakes what was forgotten.
        worker.log.report("the database is away", error)
        connection.close()


def tick(*tick_ids: str) -> None:
    """Perform the ticks that were not performed yet."""
    for tick_id in tick_ids:
        interrupts.process.stamp()
        run_tick.run(UUID(tick_id))


def operate(run_id: str) -> None:
    """Do the next slice of an operation run if it is due and free."""
    slices.do_next(
        UUID(run_id), handlers(), wake=lambda run, due: queue.wake(queue.OPERATE, str(run), at=due)
    )


def _prune_telemetry(slice_: slices.Slice) -> datetime | None:
    return sweep.run_slice(slice_, lambda: interrupts.process.stamp())


def _stamped(handler: slices.SliceHandler, slice_: slices.Slice) -> datetime | None:
    """Do a slice whose statements may take longer than a silent worker is left alive."""
    done, until = threading.Event(), time.monotonic() + LONGEST_SLICE_SECONDS

    def stamp() -> None:
        while time.monotonic() < until and not done.wait(STAMP_SECONDS):
            interrupts.process.stamp()

    stamping = threading.Thread(target=stamp, daemon=True)
    stamping.start()
    try:
        return handler(slice_)
    finally:
        done.set()
        stamping.join()
