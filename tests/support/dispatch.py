"""Do a worker's steps one by one."""

import functools

from orbit import tasks
from orbit.cycles import progress, stages
from orbit.cycles.progress import CycleProgress
from orbit.cycles.runner import WorkerProcess
from orbit.dispatch import claim
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.state import DispatchState
from orbit.records.fence import ClaimedCycle


@functools.cache
def state() -> DispatchState:
    """Return this process's dispatch state."""
    return DispatchState()


def forget_caches() -> None:
    """Forget endpoints and snapshots, as a new process does."""
    state.cache_clear()
    tasks.worker = WorkerProcess()


def enqueue_deliveries(cycle: ClaimedCycle) -> CycleProgress:
    """Run a new cycle up to its delivery jobs."""
    cycle_progress = CycleProgress(cycle)
    stages.prepare_in_one_write(cycle_progress, state(), worker=None)
    return cycle_progress


def load_progress(cycle: ClaimedCycle) -> CycleProgress:
    """Return the progress of a cycle."""
    return progress.load(cycle, state().endpoints)


def claim_jobs(cycle: ClaimedCycle, *, limit: int = 16, worker: str = "w") -> list[ClaimedJob]:
    """Claim a cycle's due jobs; send nothing."""
    return claim.claim(cycle, limit=limit, worker=worker, endpoints=state().endpoints).jobs
