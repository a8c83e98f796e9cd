"""Run the four stages of a cycle, each skipped if its checkpoint was reached.

A stage is committed before anything that waits or leaves this process.
"""

from governance.kernel import sql
from orbit import interrupts
from orbit.cycles import finish
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import enqueue, first_wave, loop
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.loop import Finished
from orbit.dispatch.state import DispatchState
from orbit.pipeline import initiation, normalization, transformations
from orbit.pipeline.normalization import Source
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint

_START: dict[str, sql.Fragment] = {
    **initiation.FRAGMENTS,
    "tiers": transformations.SAVE_TIERS,
}
START_TIERS = sql.load(__name__, "start_tiers", **_START)
START_AND_PREPARE = sql.load(__name__, "start_and_prepare", **_START, **finish.PREPARE)
START_AND_END = sql.load(__name__, "start_and_end", **_START, **finish.PREPARE, **finish.END)


def run(state: CycleProgress, *, dispatch: DispatchState, worker: str) -> Finished | float | None:
    """Run the cycle as far as it goes; return the seconds until it is due again.

    Return Finished if the caller is to close it, None if it has ended. Raises Fenced, Interrupted.
    """
    begun: list[ClaimedJob] = []
    # Quick tiers don't wait for anything outside, so all stages share one statement.
    if state.initiation_id is None and transformations.quick(state.cycle, state.tiers):
        begun = prepare_in_one_write(state, dispatch, worker=worker)
    if state.initiation_id is None:
        state.initiation_id = initiation.run(state.cycle)
    if not state.tiers_ended and state.wait <= 0:
        state.read_input()
        transformations.run(state.cycle, state.initiation_id, state.tiers)
    if not state.tiers_ended:
        return state.wait
    if not state.has(Checkpoint.NORMALIZATION_COMPLETE):
        interrupts.check()
        write = fence.FencedWrite(state.cycle, finish.PREPARE_DELIVERIES.text)
        add_deliveries_to(write, state, dispatch)
        _, begun = first_wave.commit(write, senders=dispatch.senders, worker=worker)
    state.release_payloads()
    if not state.jobs.open:
        return None
    return loop.run(state.cycle, state.jobs, state=dispatch, worker=worker, begun=begun)


def prepare_in_one_write(
    state: CycleProgress, dispatch: DispatchState, *, worker: str | None
) -> list[ClaimedJob]:
    """Initiate, transform, normalize and enqueue in one write; return the jobs that it began.

    Without ``worker`` it begins none. Raises Fenced.
    """
    if not state.tiers_ended:
        state.read_input()
    write = fence.FencedWrite(state.cycle, START_TIERS.text)
    initiation.add_to(write)
    state.tiers = transformations.add_to(write, state.tiers)
    # Otherwise a tier has to be tried again: commit what there is.
    if not state.tiers_ended:
        state.initiation_id = initiation.id_of(fence.commit(write))
        return []
    add_deliveries_to(write, state, dispatch)
    transformations.share_input(write)
    write.sql = (START_AND_PREPARE if state.jobs.open else START_AND_END).text
    rows, begun = first_wave.commit(write, senders=dispatch.senders, worker=worker)
    state.initiation_id = initiation.id_of(rows)
    return begun


def add_deliveries_to(
    write: fence.FencedWrite, state: CycleProgress, dispatch: DispatchState
) -> None:
    """Add normalization and enqueueing; without any delivery end the cycle."""
    sources = [
        Source(result.transformation_id, result.payload)
        for result in state.sources()
        if result.payload is not None
    ]
    items = normalization.add_to(write, sources, reused=state.reused.items)
    state.items = len(items)
    for job in enqueue.add_to(write, items, fingerprint=dispatch.fingerprints.get):
        state.jobs.open[job] = 0.0
    state.jobs.begin()
    write.rows.update({"finishes": [], "ledger": []})
    if not state.jobs.open:
        finish.add_to(write, state)
    state.checkpoints.add(Checkpoint.NORMALIZATION_COMPLETE)
