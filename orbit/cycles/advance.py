"""One claimed cycle, carried by one lane, as far as it goes now.

Whatever ends the carrying, the cycle is left so that somebody goes on: given back with the moment when it is due, ended, or left to its
lease, which runs out. A database that goes away is waited for while the lease may still hold; then the checkpoints say what happened, and
nothing is retried blindly.
"""

import logging
import time

from django.conf import settings
from django.db import DatabaseError, connection

from governance.namespaces import gate
from orbit import interrupts
from orbit.cycles import finish, lease, progress, stages
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import attempt, dead_letters, loop
from orbit.dispatch.attempt import SendersHung
from orbit.dispatch.loop import Finished
from orbit.dispatch.state import DispatchState
from orbit.records import execution, fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.states import Cycle

logger = logging.getLogger(__name__)

MAX_RESUMES = 5

# What a resume counts: marks of progress that are there and can't go away again.
PROGRESS = """WITH done AS (SELECT (SELECT count(*) FROM orbit_cyclecheckpoint WHERE cycle_id = %(id)s)
    + (SELECT count(*) FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id WHERE j.cycle_id = %(id)s) AS n)
UPDATE orbit_cyclerun c SET progress = done.n, resumes = CASE WHEN done.n > c.progress THEN 1 ELSE c.resumes END FROM done
WHERE c.id = %(id)s AND c.fencing_token = %(token)s RETURNING c.resumes"""

# Attempts of a lost worker whose job a late 2xx has ended: nobody waits for them, and what became of them nobody knows.
STRAYS = f"""WITH {fence.LOCKED_CTE} UPDATE orbit_deliveryreceipt r SET status = 'unknown', finished_at = clock_timestamp(), error_class = 'lost',
    error = 'the worker that sent it was lost' FROM locked WHERE r.id = ANY(%(strays)s::uuid[]) AND r.status = 'sending' RETURNING r.id"""


def run(cycle: ClaimedCycle, *, dispatch: DispatchState, worker: str) -> float | None:
    """Carry ``cycle`` on; return the seconds until it is due again when it was given back, else None."""
    give_up_at = time.monotonic() + settings.ORBIT_LEASE_SECONDS
    is_new = cycle.token == 1
    counted = not cycle.resumed
    while True:
        try:
            if not counted and not _may_resume(cycle):
                return None
            counted = True
            state = CycleProgress(cycle) if is_new else progress.load(cycle, dispatch.endpoints)
            return _carry(state, dispatch=dispatch, worker=worker)
        except Fenced:
            _note_fenced(cycle)
            return None
        except interrupts.Interrupted:
            _note_stop(cycle)
            return _give_back(cycle, 0.0)
        except SendersHung as exc:
            # No verdict on the cycle: its lease runs out, and whoever resumes it closes what is open.
            logger.error("cycle %s: senders hang: %s", cycle.id, exc)
            return None
        except fence.AWAY as exc:
            connection.close()
            # A commit whose answer was lost may have happened: what is on record says.
            is_new = False
            if time.monotonic() >= give_up_at or interrupts.process.drained:
                logger.warning(
                    "cycle %s: the database is away (%s); the lease runs out and another worker resumes",
                    cycle.id,
                    " ".join(str(exc).split()),
                )
                return None
            time.sleep(0.2)
        except Exception as exc:
            _fail(cycle, exc)
            return None


def _carry(state: CycleProgress, *, dispatch: DispatchState, worker: str) -> float | None:
    if state.has(Checkpoint.CYCLE_FINISHED) and not state.final:
        return None
    if close_abandoned(state):
        if not state.jobs.open:
            return None
    elif not state.jobs.open and (state.final or _is_over(state)):
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


def close_abandoned(found: CycleProgress) -> bool:
    """Close as unknown what lost workers left open, and with the last of it the cycle; tell whether an open job was among it. Raises Fenced."""
    cycle = found.cycle
    if found.abandoned_receipts:
        fence.run(
            STRAYS, {"ids": [cycle.id], "tokens": [cycle.token], "strays": found.abandoned_receipts}
        )
    # A cancel ended what was on its way then, not what a person has sent again since.
    ended = {
        job.job_id
        for job in found.abandoned
        if cycle.status == Cycle.CANCELLED and job.job_id not in found.added_after_end
    }
    again = dead_letters.filter_requeued(ended) if ended else set()
    lost = [
        attempt.abandon(job, cancelled=job.job_id in ended, requeued=job.job_id in again)
        for job in found.abandoned
    ]
    if lost:
        finish.save_results(found, lost)
    return bool(lost)


def _is_over(found: CycleProgress) -> bool:
    """Tell whether a running cycle has nothing left to do but to end: every job is, and its enqueueing is behind it."""
    return found.has(Checkpoint.DISPATCH_ENQUEUED)


def _may_resume(cycle: ClaimedCycle) -> bool:
    """Count a resume; end the cycle as parked when it is the fifth in a row that found no progress."""
    rows = fence.run(PROGRESS, {"id": cycle.id, "token": cycle.token})
    if not rows:
        raise Fenced
    resumes = rows[0][0]
    if resumes < MAX_RESUMES:
        execution.write(Record("cycle", "cycle_resumed", "the lease of its worker ran out", "warning", {"resumes": resumes, "token": cycle.token}),
                        namespace=cycle.namespace, cycle_id=cycle.id)  # fmt: skip
        return True
    finish.give_up(
        cycle,
        reason="parked",
        message=f"resumed {resumes} times in a row without a new checkpoint or delivery attempt",
    )
    return False


def _give_back(cycle: ClaimedCycle, wait: float) -> float | None:
    """Give the lease back; a pause holds the cycle where it is until somebody looks again."""
    try:
        due = lease.give_back([cycle], wait=max(wait, 1.0) if gate.paused_here() else wait)
    except fence.AWAY:
        connection.close()
        return None
    return None if due is None else wait


def _note_stop(cycle: ClaimedCycle) -> None:
    """Record that the gate stops the cycle here, by whom and why; a drain of this process is nothing that the cycle has to tell."""
    try:
        refusal = gate.stops([cycle.namespace]).get(cycle.namespace)
        if refusal is not None and refusal.code != gate.NamespaceDraining.code:
            execution.write(
                Record("governance", "stopped", refusal.detail, "warning", {"code": refusal.code}),
                namespace=cycle.namespace,
                cycle_id=cycle.id,
            )
    except DatabaseError:
        connection.close()


def _note_fenced(cycle: ClaimedCycle) -> None:
    """Record that this worker was fenced; the record is all that it may still write."""
    try:
        execution.write(
            Record("cycle", "fenced", f"token {cycle.token} is no longer the cycle's", "warning"),
            namespace=cycle.namespace,
            cycle_id=cycle.id,
        )
    except DatabaseError:
        connection.close()


def _fail(cycle: ClaimedCycle, exc: Exception) -> None:
    """The outer failure handler: the cycle ends as failed with an error record, and keeps everything that it has."""
    logger.error("cycle %s failed", cycle.id, exc_info=exc)
    try:
        finish.give_up(cycle, reason="error", message=f"{type(exc).__name__}: {exc}")
    except Fenced:
        _note_fenced(cycle)
    except DatabaseError:
        # The lease runs out, and the next worker meets the same fault or not: five times at most.
        connection.close()
