"""Run one claimed cycle in one slot, as far as it goes now.

The cycle can go on however the run ends: its lease is given back or runs out, and its checkpoints
say what is done.

After a SIGKILL the lease runs out, and the next claim (``lease``; ``maintenance.rescue`` wakes a
worker for it) raises the fencing token and counts a resume. A cycle without progress is parked.
``progress.load`` reads what is done, and ``close_abandoned`` closes the attempts that the dead
worker left open.

If the answer of a write is lost, the worker can't know whether it happens. So the cycle gets a new
token (``fence.reclaim``), and goes on from what is there then.
"""

import logging
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, connection

from governance.kernel import request_context, routing, sql
from governance.kernel.identifiers import uuid7_text
from governance.namespaces import gate
from orbit import interrupts
from orbit.cycles import finish, lease, progress, stages
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import attempt, claim, dead_letters, loop, receipts
from orbit.dispatch.in_flight import SendersHung
from orbit.dispatch.loop import Finished
from orbit.dispatch.state import DispatchState
from orbit.records import execution, fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.states import Cycle

logger = logging.getLogger(__name__)

#: A cycle that is resumed so often in a row without progress ends as parked.
MAX_RESUMES = 5
# After so many lost writes in one run, another worker goes on with the cycle.
MOST_FAILURES = 100
_AWAY_PAUSE_SECONDS, _COLLISION_PAUSE_SECONDS = 0.2, 1.0
_PARTITION_WAIT_SECONDS = 5.0

COUNT_RESUME = sql.load(__name__, "count_resume")
CLOSE_ABANDONED_RECEIPTS = sql.load(__name__, "close_abandoned_receipts", locked=fence.LOCKED)


def run(cycle: ClaimedCycle, *, dispatch: DispatchState, worker: str) -> float | None:
    """Run ``cycle``; return the seconds until it is due again.

    Return None if it has ended, or another worker resumes it.
    """
    with request_context.about(cycle.id):
        return _run(cycle, dispatch=dispatch, worker=worker)


def _run(cycle: ClaimedCycle, *, dispatch: DispatchState, worker: str) -> float | None:
    current, outage = _Run(cycle, dispatch, worker), _Outage()
    while True:
        try:
            return current.go_on()
        except Fenced:
            _record_fenced(cycle)
            return None
        except SendersHung as exc:
            # Leave the cycle as it is. Its lease runs out and the next worker closes the attempts.
            logger.error("cycle %s: senders hang: %s", cycle.id, exc)
            return None
        except fence.AWAY as exc:
            connection.close()
            current.outcome_unknown = True
            if outage.is_too_long() or interrupts.process.drained:
                logger.warning(
                    "cycle %s: the database is away (%s); another worker resumes it once its lease "
                    "has run out",
                    cycle.id,
                    " ".join(str(exc).split()),
                )
                return None
            interrupts.prolong(settings.ORBIT_LEASE_SECONDS)  # it waits, and isn't hung
            if isinstance(exc, fence.Collided):
                logger.warning("cycle %s reads again what is there: %s", cycle.id, exc)
                time.sleep(_COLLISION_PAUSE_SECONDS)
            else:
                time.sleep(_AWAY_PAUSE_SECONDS)


@dataclass(slots=True)
class _Run:
    """One run of a claimed cycle, however often the database goes away meanwhile."""

    cycle: ClaimedCycle
    dispatch: DispatchState
    worker: str
    #: The answer of a write was lost.
    outcome_unknown: bool = False
    resume_counted: bool = False
    #: Written again if the answer is lost: the same row, so that it is there once.
    stopped_record: Record | None = None

    def go_on(self) -> float | None:
        """Run the cycle from what is there. Raises Fenced, SendersHung, and AWAY's."""
        if self.outcome_unknown and not fence.reclaim(self.cycle):
            _ensure_ended(self.cycle)
            return None
        self.outcome_unknown = False
        try:
            with fence.collisions():
                wait = self._advance()
        except interrupts.Interrupted:
            self._stop()
            wait = 0.0
        except (Fenced, SendersHung, *fence.AWAY):
            raise
        except Exception as exc:
            wait = self._fail(exc)
        return None if wait is None else _give_back(self.cycle, wait)

    def _advance(self) -> float | None:
        cycle = self.cycle
        if cycle.resumed and not self.resume_counted and not may_resume(cycle):
            return None
        self.resume_counted = True
        # The first token belongs to a new cycle: nothing is there to read.
        is_new = cycle.token == 1
        state = CycleProgress(cycle) if is_new else progress.load(cycle, self.dispatch.endpoints)
        return _advance(state, dispatch=self.dispatch, worker=self.worker)

    def _fail(self, exc: Exception) -> float | None:
        """Give the cycle up; return seconds to wait if it isn't the cycle's fault."""
        if routing.is_missing(exc):
            # It waits until maintenance has made the partition. That is no resume.
            logger.error("cycle %s waits: %s", self.cycle.id, " ".join(str(exc).split()))
            return _PARTITION_WAIT_SECONDS
        logger.error("cycle %s failed", self.cycle.id, exc_info=exc)
        finish.give_up(self.cycle, reason="error", message=f"{type(exc).__name__}: {exc}")
        return None

    def _stop(self) -> None:
        """Close what was begun and not sent, and record why the cycle stops."""
        cycle = self.cycle
        if cycle.begun:
            claimed = claim.adopt(cycle, limit=len(cycle.begun), endpoints=self.dispatch.endpoints)
            receipts.save(cycle, [attempt.resolve(job, None) for job in claimed.jobs])
        refusal = gate.refusals([cycle.namespace]).get(cycle.namespace)
        # A drain isn't recorded: it ends nothing.
        if refusal is not None and refusal.code != gate.NamespaceDraining.code:
            self.stopped_record = self.stopped_record or Record(
                "governance",
                "stopped",
                refusal.detail,
                "warning",
                {"code": refusal.code},
                id=uuid7_text(),
            )
            _record(cycle, self.stopped_record)


class _Outage:
    """How long the database has been away: failures less than a lease apart."""

    def __init__(self) -> None:
        self._began = self._last = float("-inf")
        self._failures = 0

    def is_too_long(self) -> bool:
        """Note a failure; return whether the lease has run out since the first one."""
        now = time.monotonic()
        self._failures += 1
        # A statement may take longer to fail than a lease lasts.
        if self._failures >= MOST_FAILURES:
            return True
        if now - self._last > settings.ORBIT_LEASE_SECONDS:
            self._began = now
        self._last = now
        return now - self._began >= settings.ORBIT_LEASE_SECONDS


def _ensure_ended(cycle: ClaimedCycle) -> None:
    """Raise Fenced unless a write of ours has ended the cycle or given it back."""
    tokens = range(cycle.token, cycle.token + cycle.reclaims + 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT fencing_token, lease_owner FROM orbit_cyclerun WHERE id = %s", [cycle.id]
        )
        row = cursor.fetchone()
    # Another worker's claim raises the token just as a reclaim of ours does.
    if row is None or row[0] not in tokens or row[1] not in (None, cycle.owner):
        raise Fenced


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
        record = Record(
            "cycle",
            "cycle_resumed",
            "the lease of its worker ran out",
            "warning",
            {"resumes": resumes, "token": cycle.token},
            id=cycle.resume_record,
        )
        _record(cycle, record)
        return True
    finish.give_up(
        cycle,
        reason="parked",
        message=f"resumed {resumes} times in a row without a new checkpoint or delivery attempt",
    )
    return False


def _give_back(cycle: ClaimedCycle, wait: float) -> float | None:
    # While everything is paused, don't come back at once.
    due = lease.give_back([cycle], wait=max(wait, 1.0) if gate.paused_here() else wait)
    return None if due is None else wait


def _record_fenced(cycle: ClaimedCycle) -> None:
    # Another worker has the cycle: this record is all that may still be written.
    message = f"token {cycle.token} is no longer the cycle's"
    try:
        _record(cycle, Record("cycle", "fenced", message, "warning"))
    except DatabaseError:
        connection.close()


def _record(cycle: ClaimedCycle, record: Record) -> None:
    execution.write(record, namespace=cycle.namespace, cycle_id=cycle.id)
