"""Run one claimed cycle in one slot, as far as it goes now.

The cycle can go on however the run ends: its lease is given back or runs out, and its checkpoints
say what is done.

After a SIGKILL the lease runs out, and the next claim (``lease``; ``maintenance.rescue`` wakes a
worker for it) raises the fencing token and counts a resume. ``may_resume`` ends a cycle without
progress, ``progress.load`` reads what is done, and ``close_abandoned`` closes the attempts that the
dead worker left open.
"""

import logging
import time

from django.conf import settings
from django.db import DatabaseError, connection

from governance.kernel import sql
from governance.namespaces import gate
from orbit import interrupts
from orbit.cycles import finish, lease, progress, stages
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import attempt, dead_letters, loop
from orbit.dispatch.attempt import SendersHung
from orbit.dispatch.loop import Finished
from orbit.dispatch.state import DispatchState
from orbit.records import execution, fence, partitions
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.states import Cycle

logger = logging.getLogger(__name__)

#: A cycle that is resumed so often in a row without progress ends as parked.
MAX_RESUMES = 5
_AWAY_PAUSE_SECONDS = 0.2
_PARTITION_WAIT_SECONDS = 5.0

COUNT_RESUME = sql.load(__name__, "count_resume")
CLOSE_ABANDONED_RECEIPTS = sql.load(__name__, "close_abandoned_receipts", locked=fence.LOCKED)


def run(cycle: ClaimedCycle, *, dispatch: DispatchState, worker: str) -> float | None:
    """Run ``cycle``; return the seconds until it is due again.

    Return None if it has ended, or another worker resumes it.
    """
    # Wait for the database only while the lease may still hold.
    give_up_at = time.monotonic() + settings.ORBIT_LEASE_SECONDS
    is_new = cycle.token == 1
    counted = not cycle.resumed
    while True:
        try:
            if not counted and not may_resume(cycle):
                return None
            counted = True
            state = CycleProgress(cycle) if is_new else progress.load(cycle, dispatch.endpoints)
            return _advance(state, dispatch=dispatch, worker=worker)
        except Fenced:
            _record_fenced(cycle)
            return None
        except interrupts.Interrupted:
            _record_stop(cycle)
            return _give_back(cycle, 0.0)
        except SendersHung as exc:
            # Leave the cycle as it is. Its lease runs out and the next worker closes the attempts.
            logger.error("cycle %s: senders hang: %s", cycle.id, exc)
            return None
        except fence.AWAY as exc:
            connection.close()
            # A commit whose answer was lost may have happened. The checkpoints say so.
            is_new = False
            if time.monotonic() >= give_up_at or interrupts.process.drained:
                logger.warning(
                    "cycle %s: the database is away (%s); another worker resumes it once its lease "
                    "has run out",
                    cycle.id,
                    " ".join(str(exc).split()),
                )
                return None
            time.sleep(_AWAY_PAUSE_SECONDS)
        except Exception as exc:
            return _fail(cycle, exc)


def close_abandoned(state: CycleProgress) -> bool:
    """Close abandoned attempts; return whether one had an open job. Raises Fenced."""
    cycle = state.cycle
    if state.abandoned_receipts:
        fence.run(
            CLOSE_ABANDONED_RECEIPTS.text,
            {"ids": [cycle.id], "tokens": [cycle.token], "receipts": state.abandoned_receipts},
        )
    # A cancel ended what was in flight then, but not what was requeued afterwards.
    ended = {
        job.job_id
        for job in state.abandoned
        if cycle.status == Cycle.CANCELLED and job.job_id not in state.added_after_end
    }
    requeued = dead_letters.filter_requeued(ended) if ended else set()
    # Their outcome is unknown. Unless the endpoint says otherwise (`inquiry_url`, `on_unknown`)
    # they are sent again with the same Idempotency-Key: twice, if the receiver ignores it.
    results = [
        attempt.abandon(job, cancelled=job.job_id in ended, requeued=job.job_id in requeued)
        for job in state.abandoned
    ]
    if results:
        # With the last job this ends the cycle.
        finish.save_results(state, results)
    return bool(results)


def _advance(state: CycleProgress, *, dispatch: DispatchState, worker: str) -> float | None:
    if state.has(Checkpoint.CYCLE_FINISHED) and not state.final:
        return None
    if close_abandoned(state):
        if not state.jobs.open:
            return None
    elif not state.jobs.open and (state.final or state.has(Checkpoint.DISPATCH_ENQUEUED)):
        # Every job has ended; only the cycle's own end is missing.
        finish.close(state, Finished())
        return None
    result = (
        loop.run(state.cycle, state.jobs, state=dispatch, worker=worker)
        if state.final
        else stages.run(state, dispatch=dispatch, worker=worker)
    )
    if isinstance(result, Finished):
        finish.close(state, result)
        return None
    return None if result is None else _give_back(state.cycle, result)


def may_resume(cycle: ClaimedCycle) -> bool:
    """Count a resume; park the cycle and return False if it is the fifth without progress."""
    rows = fence.run(COUNT_RESUME.text, {"id": cycle.id, "token": cycle.token})
    if not rows:
        raise Fenced
    resumes = rows[0][0]
    if resumes < MAX_RESUMES:
        _record(
            cycle,
            Record(
                "cycle",
                "cycle_resumed",
                "the lease of its worker ran out",
                "warning",
                {"resumes": resumes, "token": cycle.token},
            ),
        )
        return True
    finish.give_up(
        cycle,
        reason="parked",
        message=f"resumed {resumes} times in a row without a new checkpoint or delivery attempt",
    )
    return False


def _give_back(cycle: ClaimedCycle, wait: float) -> float | None:
    try:
        # While everything is paused, don't come back at once.
        due = lease.give_back([cycle], wait=max(wait, 1.0) if gate.paused_here() else wait)
    except fence.AWAY:
        connection.close()
        return None
    return None if due is None else wait


def _record_stop(cycle: ClaimedCycle) -> None:
    try:
        refusal = gate.refusals([cycle.namespace]).get(cycle.namespace)
        # A drain isn't recorded: it ends nothing.
        if refusal is not None and refusal.code != gate.NamespaceDraining.code:
            data = {"code": refusal.code}
            _record(cycle, Record("governance", "stopped", refusal.detail, "warning", data))
    except DatabaseError:
        connection.close()


def _record_fenced(cycle: ClaimedCycle) -> None:
    # Another worker has the cycle: this record is all that may still be written.
    message = f"token {cycle.token} is no longer the cycle's"
    try:
        _record(cycle, Record("cycle", "fenced", message, "warning"))
    except DatabaseError:
        connection.close()


def _fail(cycle: ClaimedCycle, exc: Exception) -> float | None:
    if partitions.is_missing(exc):
        # Not the cycle's fault, and no resume: it waits until maintenance has made the partition.
        logger.error("cycle %s waits: %s", cycle.id, " ".join(str(exc).split()))
        return _give_back(cycle, _PARTITION_WAIT_SECONDS)
    logger.error("cycle %s failed", cycle.id, exc_info=exc)
    try:
        finish.give_up(cycle, reason="error", message=f"{type(exc).__name__}: {exc}")
    except Fenced:
        _record_fenced(cycle)
    except DatabaseError:
        # The lease runs out, and the next worker meets the same fault or not: five times at most.
        connection.close()
    return None


def _record(cycle: ClaimedCycle, record: Record) -> None:
    execution.write(record, namespace=cycle.namespace, cycle_id=cycle.id)
