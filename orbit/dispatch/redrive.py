"""The slices of bulk runs over dead letters: requeue, with a canary and at a rate, and dismiss.

A run's first job is its canary: the rest waits for its 2xx, without holding a worker, and stays as it is when the canary dies. Two runs, or
a run and a person, make one job of a letter; the other one reads "already requeued".
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from governance.audit.actions import Action
from governance.models import OperationRun
from governance.operations import items, ledger
from governance.operations.guard import Slice
from governance.operations.items import Settled
from governance.states import ItemOutcome, Outcome
from orbit import queue
from orbit.dispatch import batches, canary, dead_letters, endpoints
from orbit.dispatch.batches import Found
from orbit.dispatch.canary import Fate
from orbit.dispatch.dead_letters import Deed
from orbit.models import DeadLetterDispatch

# Among so many letters a canary is looked for at once; those before it that need no job are settled on the way.
_CANARY_AMONG = 100


def requeue(slice_: Slice) -> datetime | None:
    """Do the next slice of a bulk requeue: send the canary, look after it, or take the next letters at the run's rate."""
    run, progress = slice_.run, items.fresh(slice_.run)
    job = progress.get("canary_job_id")
    if job is None:
        return _go(run, batches.take(run, _CANARY_AMONG), progress, most=1)
    if not progress.get("canary_delivered"):
        verdict = canary.look(UUID(job))
        if verdict.fate is Fate.WAITS:
            return ledger.progress(run, {**progress, "note": verdict.note}, wait=items.SECONDS)
        if verdict.fate is Fate.STOP:
            _canary_failed(run, UUID(job), progress, verdict.note)
            return None
        progress["canary_delivered"] = True
    progress = canary.follow(run.pk, progress)
    if progress["dead_in_a_row"] >= canary.MOST_DEAD:
        note = f"stopped: {canary.MOST_DEAD} of its deliveries in a row ended dead; letters that it hasn't reached stay open"
        items.end(run, Outcome.PARTIALLY_SUCCEEDED, {**progress, "note": note})
        return None
    letters = items.room(slice_, batches.MOST)
    return _go(run, batches.take(run, letters), progress, most=letters)


def dismiss(slice_: Slice) -> datetime | None:
    """Do the next slice of a bulk dismiss."""
    run, progress = slice_.run, items.fresh(slice_.run)
    letters = batches.take(run, items.room(slice_, batches.MOST))
    if not letters:
        return batches.stopped(run, progress)
    still, settled = batches.lock(run, letters)
    done = dead_letters.dismiss_all([letter.id for letter in still], _deed(run))
    batches.record_audit(run, Action.DEAD_LETTER_DISMISSED, done)
    settled += [Settled(letter, ItemOutcome.SUCCEEDED, "dismissed") for letter, _ in done]
    return items.go_on(run, items.settle(run, settled, progress))


def _go(
    run: OperationRun, letters: Sequence[UUID], progress: dict[str, Any], *, most: int
) -> datetime | None:
    """Requeue up to ``most`` of ``letters``; those behind them wait for another slice."""
    if not letters:
        return batches.stopped(run, progress)
    still, settled = batches.lock(run, letters)
    chosen, unserved = _served(run, still)
    if len(chosen) > most:
        chosen = chosen[:most]
        settled = [item for item in settled if item.id < chosen[-1].id]
        unserved = [item for item in unserved if item.id < chosen[-1].id]
    made = (
        dead_letters.requeue_all({letter.id: letter.endpoint_key for letter in chosen}, _deed(run))
        if chosen
        else []
    )
    settled += [
        *unserved,
        *(
            Settled(one.letter_id, ItemOutcome.SUCCEEDED, f"requeued as job {one.job_id}")
            for one in made
        ),
    ]
    requeued = {one.letter_id for one in made}
    settled += [
        Settled(one.id, ItemOutcome.SKIPPED, "delivered already")
        for one in chosen
        if one.id not in requeued
    ]
    if made:
        batches.record_audit(run, Action.DEAD_LETTER_REQUEUED, [(one.letter_id, one.namespace) for one in made], endpoint=run.context["endpoint"],
                     new_key=run.context["new_key"])  # fmt: skip
        queue.wake()
        # Letters of a namespace that was halted come after younger ones: their jobs are followed too.
        progress["first_open"] = min(
            str(made[0].letter_id), progress.get("first_open", str(made[0].letter_id))
        )
        progress.setdefault("canary_job_id", str(made[0].job_id))
    progress = items.settle(run, settled, progress)
    if "canary_job_id" in progress and not progress.get("canary_delivered"):
        return ledger.progress(
            run,
            {**progress, "note": "waiting for the canary's job to be delivered"},
            wait=items.SECONDS,
        )
    return items.go_on(run, progress)


def _served(run: OperationRun, letters: Sequence[Found]) -> tuple[list[Found], list[Settled]]:
    """Return the letters that have an endpoint to go to, and what becomes of the others."""
    if run.context["endpoint"] != "current":
        return list(letters), []
    known = endpoints.configured()
    gone = [
        Settled(one.id, ItemOutcome.FAILED, f"no endpoint {one.endpoint_key!r} is configured now")
        for one in letters
        if one.endpoint_key not in known
    ]
    return [one for one in letters if one.endpoint_key in known], gone


def _canary_failed(run: OperationRun, job_id: UUID, progress: dict[str, Any], note: str) -> None:
    """End the run: what its canary met, the rest would meet too."""
    letter = DeadLetterDispatch.objects.get(requeued_job=job_id)
    before = {
        **progress,
        "processed": progress["processed"] - 1,
        "succeeded": progress["succeeded"] - 1,
    }
    found = items.settle(run, [Settled(letter.pk, ItemOutcome.FAILED, note)], before)
    items.end(run, Outcome.FAILED, {**found, "note": note})


def _deed(run: OperationRun) -> Deed:
    data = {"operation_run_id": str(run.pk)}
    return Deed(
        run.initiator,
        run.reason,
        run.context.get("endpoint", "snapshot"),
        run.context.get("new_key", False),
        data,
    )
