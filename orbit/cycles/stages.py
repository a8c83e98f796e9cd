"""The pipeline: four stages, each an independent unit, each skipped when its checkpoint stands.

A stage is durable before anything outside this process is touched: before a transformer that waits, before a retry, before the first
delivery. Stages between which nothing of that kind lies share one statement and one commit, each still with its own rows, records and
checkpoints.
"""

from orbit import interrupts
from orbit.cycles import finish
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import enqueue, loop
from orbit.dispatch.loop import Finished
from orbit.dispatch.state import DispatchState
from orbit.pipeline import initiation, normalization, transformations
from orbit.pipeline.normalization import Source
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint

#: Initiation and tiers of a quick cycle in which a tier has to wait for its next attempt.
START = fence.statement(
    *initiation.CTES, *transformations.CTES_WITH_INITIATION, select=initiation.SELECT
)
#: All that a quick cycle does before its deliveries.
STRAIGHT = fence.statement(
    *initiation.CTES,
    *transformations.CTES_WITH_INITIATION,
    *finish.PREPARE_CTES,
    select=initiation.SELECT,
)


def run(state: CycleProgress, *, dispatch: DispatchState, worker: str) -> Finished | float | None:
    """Bring a cycle as far as it goes now.

    Return the seconds until it is due again, Finished if its deliveries are over and the caller is to close it, or None if it is closed.

    Raises Fenced, Stop at a boundary, and the database's errors. After a crash the next call goes on behind the last checkpoints.
    """
    if state.initiation_id is None and transformations.quick(state.cycle, state.tiers):
        prepare_in_one_write(state, dispatch)
    if state.initiation_id is None:
        state.initiation_id = initiation.run(state.cycle)
    if not state.tiers_ended and state.wait <= 0:
        state.read_input()
        transformations.run(state.cycle, state.initiation_id, state.tiers)
    if not state.tiers_ended:
        return state.wait
    if not state.has(Checkpoint.NORMALIZATION_COMPLETE):
        interrupts.check()
        write = fence.FencedWrite(state.cycle, finish.PREPARE)
        _prepare(state, write, dispatch)
        fence.commit(write)
    state.release_payloads()
    if not state.jobs.open:
        return None
    return loop.run(state.cycle, state.jobs, state=dispatch, worker=worker)


def prepare_in_one_write(state: CycleProgress, dispatch: DispatchState) -> None:
    """Initiate, transform, normalize and enqueue in one write, as far as no tier has to wait."""
    if not state.tiers_ended:
        state.read_input()
    write = fence.FencedWrite(state.cycle, START)
    initiation.add_to(write)
    state.tiers = transformations.add_to(write, state.tiers)
    if state.tiers_ended:
        write.sql = STRAIGHT
        _prepare(state, write, dispatch)
    state.initiation_id = initiation.commit(write)


def _prepare(state: CycleProgress, write: fence.FencedWrite, dispatch: DispatchState) -> None:
    """Put normalization and enqueueing into ``write``; a cycle without a job ends with it."""
    write.rows.update({"finishes": [], "ledger": []})
    sources = [
        Source(result.transformation_id, result.payload)
        for result in state.sources()
        if result.payload is not None
    ]
    items = normalization.add_to(write, sources, reused=state.reused.items)
    state.items = len(items)
    for job in enqueue.add_to(write, items, snapshot_id=dispatch.snapshots.id_of):
        state.jobs.open[job] = 0.0
    state.jobs.begin()
    if not state.jobs.open:
        finish.add_to(write, state)
    state.checkpoints.add(Checkpoint.NORMALIZATION_COMPLETE)
