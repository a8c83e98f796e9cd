"""The pipeline: four stages, each an independent unit, each skipped when its checkpoint stands."""

import time

from orbit.cycles import finish
from orbit.cycles.state import State
from orbit.dispatch import deliver, enqueue
from orbit.pipeline import initiation, normalization, transformations
from orbit.pipeline.normalization import Source
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint


def run(state: State, *, worker: str) -> float | None:
    """Bring a cycle as far as it goes now; return the seconds until it is due again, or None when nothing is left of it.

    Raises Fenced, Stop at a boundary, and the database's errors. After a crash the next call goes on behind the last checkpoints.
    """
    work = state.work
    if state.initiation_id is None:
        state.initiation_id = initiation.run(work)
    if any(state.tiers.get(tier) is None or state.tiers[tier].ok is None for tier in (1, 2, 3)):
        transformations.run(work, state.initiation_id, state.tiers)
        waits = [result.wait for result in state.tiers.values() if result.ok is None]
        if waits:
            return min(waits)
    if not state.has(Checkpoint.NORMALIZATION_COMPLETE):
        _prepare(state)
        if not state.tally.open:
            return None
    return deliver.run(work, state.tally, finish.ending(state), worker=worker)


def _prepare(state: State) -> None:
    """Normalize and enqueue in one write; a cycle without a job ends with it."""
    write = fence.Write(state.work, finish.PREPARE, rows={"finishes": [], "ledger": []})
    sources = [Source(result.transformation_id, result.payload) for result in state.tiers.values() if result.payload is not None]
    items = normalization.draft(write, sources)
    state.items = len(items)
    for job in enqueue.draft(write, items).jobs:
        state.tally.open[job] = 0.0
    state.tally.began = time.monotonic()
    if not state.tally.open:
        finish.put(write, state, state.tally)
    fence.commit(write)
