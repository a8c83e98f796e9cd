"""Save the results of attempts: receipt, job and dead letter, in one fenced statement.

A received 2xx is never lost: it is written until the database takes it. If another worker has the
cycle, only the 2xx is saved, without the fence.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from governance import audit
from governance.audit.actions import Action
from governance.kernel import availability, sql
from governance.kernel.identifiers import uuid7_text
from orbit import interrupts
from orbit.dispatch import claim, limits
from orbit.dispatch.attempt import AttemptResult
from orbit.outbound.client import Response
from orbit.records import execution, fence
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.rollup import counts
from orbit.states import ATTEMPT, JOB, LETTER, Attempt, Job, Letter
from telemetry import emit
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "dispatch"
# Seconds between tries while the database is away; doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

#: CTEs of fenced statements; ``add_to`` makes the rows of their parameters.
CLOSE_ATTEMPTS = sql.fragment(
    __name__, "close_attempts", receipt_sources=ATTEMPT.sql_sources(Attempt.FAILED)
)
SAVE_RESULTS = sql.load(
    __name__,
    "save_results",
    locked=fence.LOCKED,
    close_attempts=CLOSE_ATTEMPTS,
    update_circuits=limits.UPDATE_CIRCUITS,
    records=execution.RECORDS,
    events=emit.EVENTS,
)
COUNT_CLOSED = sql.load(__name__, "count_closed")

DELIVER_LATE = sql.load(
    __name__,
    "deliver_late",
    receipt_sources=ATTEMPT.sql_sources(Attempt.DELIVERED),
    job_sources=JOB.sql_sources(Job.DELIVERED),
    count_late=counts.COUNT_LATE,
)
_REQUEUE_CHAIN = sql.fragment(__name__, "requeue_chain")
CLOSE_LETTERS_LATE = sql.load(
    __name__,
    "close_letters_late",
    requeue_chain=_REQUEUE_CHAIN,
    letter_sources=LETTER.sql_sources(Letter.DELIVERED_LATE),
)
CANCEL_REQUEUED_JOBS = sql.load(
    __name__,
    "cancel_requeued_jobs",
    requeue_chain=_REQUEUE_CHAIN,
    job_sources=JOB.sql_sources(Job.CANCELLED),
)
RECORD_LATE_SUCCESS = sql.load(
    __name__, "record_late_success", records=execution.RECORDS, events=emit.EVENTS
)


def save(cycle: ClaimedCycle, results: Sequence[AttemptResult], *, abandoned: bool = False) -> None:
    """Save results of a cycle that goes on. Raises as ``commit``."""
    write = fence.FencedWrite(cycle, SAVE_RESULTS.text)
    add_to(write, results)
    commit(write, results, abandoned=abandoned)


def add_to(write: fence.FencedWrite, results: Sequence[AttemptResult]) -> None:
    """Add ``results`` to a write with ``CLOSE_ATTEMPTS`` and ``UPDATE_CIRCUITS``."""
    write.rows["attempts"] = [_row(write.cycle, result) for result in results]
    observations = [result.observation for result in results if result.observation is not None]
    write.rows["circuits"] = limits.rows(observations, cycle_id=write.cycle.id)
    for result in results:
        _add_records(write, result)


def commit(
    write: fence.FencedWrite, results: Sequence[AttemptResult], *, abandoned: bool = False
) -> None:
    """Commit a write with ``results``, however long the database is away. Raises Fenced.

    ``abandoned`` ones are found again by the next worker: for these it raises AWAY's at once.
    """
    pause, outcome_unknown = FIRST_PAUSE, False
    while True:
        try:
            if outcome_unknown and _happened(write, results):
                break
            outcome_unknown = False
            _commit_audited(write, results)
            break
        except Fenced:
            # A success only ends things, so it needs no fence.
            save_late_successes(write.cycle, results)
            raise
        except fence.AWAY as exc:
            if not results or abandoned:
                raise
            pause = _wait(exc, pause)
            outcome_unknown = True
    _wake_waiting_cycles(results)


def save_late_successes(cycle: ClaimedCycle, results: Sequence[AttemptResult]) -> None:
    """Save the successes of a worker that lost its cycle. Idempotent."""
    successes = [_row(cycle, result) for result in results if result.status == Attempt.DELIVERED]
    message = (
        f"token {cycle.token} is no longer the cycle's: "
        f"{len(successes)} of {len(results)} answers were a 2xx and are kept"
    )
    record = Record(STAGE, "fenced", message, "warning", id=uuid7_text())
    pause = FIRST_PAUSE
    while True:
        try:
            for attempt in successes:
                record_late_success(cycle, attempt)
            execution.write(record, namespace=cycle.namespace, cycle_id=cycle.id)
            return
        except fence.AWAY as exc:
            pause = _wait(exc, pause)


def record_late_success(cycle: ClaimedCycle, attempt: Mapping[str, Any]) -> None:
    """Record a 2xx that arrives after the worker lost its lease. Idempotent."""
    job_id: UUID = attempt["job_id"]
    # Lock order: the job, then its letters and requeued jobs. No transaction that holds a cycle
    # waits for these, so no deadlock is possible.
    with audit.transaction():
        write = fence.FencedWrite(cycle, DELIVER_LATE.text, rows={"attempts": [dict(attempt)]})
        rows = fence.run(write.sql, write.parameters())
        if not rows:
            return
        status_before = Job(rows[0][0])
        letters, cancelled_jobs = _end_requeues(job_id)
        ended = {"dead_letters": letters, "copies_cancelled": cancelled_jobs}
        _write_late_success(cycle, attempt, {"was": str(status_before), **ended})
        # A job that was still open and not requeued is delivered like any other: no audit entry.
        if letters or cancelled_jobs or status_before in {Job.DEAD, Job.CANCELLED}:
            audit.record(
                Action.DELIVERY_CONFIRMED_LATE,
                actor="orbit",
                object_type="dispatch_job",
                object_id=str(job_id),
                namespace=cycle.namespace,
                before={"status": str(status_before)},
                after={
                    "status": str(Job.DELIVERED),
                    "cycle_id": str(cycle.id),
                    "attempt": attempt["attempt"],
                    **ended,
                },
            )


def audit_death(cycle: ClaimedCycle, job_id: UUID, details: Mapping[str, Any]) -> None:
    """Audit a dead letter, in the transaction that made it."""
    audit.record(
        Action.DEAD_LETTER_CREATED,
        actor="orbit",
        object_type="dispatch_job",
        object_id=str(job_id),
        namespace=cycle.namespace,
        after={"cycle_id": str(cycle.id), **details},
    )


def excerpt(answer: Response | None) -> str:
    """Return the start of an answer's body as valid text."""
    if answer is None:
        return ""
    return answer.excerpt.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _row(cycle: ClaimedCycle, result: AttemptResult) -> dict[str, Any]:
    job, answer, transition = result.job, result.answer, result.transition
    error_class = answer.error_class if answer else None
    if result.status == Attempt.UNKNOWN and answer is None:
        error_class = "lost"
    return {
        "receipt_id": job.receipt_id,
        "job_id": job.job_id,
        "cycle_id": cycle.id,
        "letter_id": uuid7_text() if transition.status == Job.DEAD else None,
        "status": result.status,
        "job_status": transition.status,
        "status_code": answer.status if answer else None,
        "error_class": error_class,
        "error": result.error,
        "latency_ms": answer.latency_ms if answer else None,
        "excerpt": excerpt(answer),
        "wait": transition.wait,
        "spent": transition.spent,
        "reason": transition.reason,
        "endpoint_key": job.endpoint_key,
        "attempt": job.attempt,
        "confirms": result.confirms,
    }


def _add_records(write: fence.FencedWrite, result: AttemptResult) -> None:
    job, answer, transition = result.job, result.answer, result.transition
    level = "warning" if result.failed else "info"
    latency = answer.latency_ms if answer else None
    about = {"job_id": str(job.job_id), "endpoint_key": job.endpoint_key, "attempt": job.attempt}
    if job.receipt_id is not None:
        data = {
            **about,
            "outcome": result.status,
            "status_code": answer.status if answer else None,
            "wait": round(transition.wait, 3) if transition.wait is not None else None,
        }
        write.records.append(Record(STAGE, "delivery_attempt", result.error, level, data))
    if transition.status == Job.DELIVERED:
        write.events.append(
            Event(Name.DELIVERY_CONFIRMED, stage=STAGE, duration_ms=latency, metadata=about)
        )
    elif job.receipt_id is not None:
        write.events.append(
            Event(
                Name.DELIVERY_ATTEMPT,
                stage=STAGE,
                level=level,
                duration_ms=latency,
                metadata={
                    **about,
                    "outcome": result.status,
                    "status_code": answer.status if answer else None,
                    "error": result.error,
                },
            )
        )
    if transition.status == Job.DEAD:
        message = f"{job.endpoint_key}: {transition.reason} after {job.attempt} attempts"
        letter = {"job_id": job.job_id, "reason": transition.reason}
        write.records.append(Record(STAGE, "dead_letter_created", message, "error", letter))


def _commit_audited(write: fence.FencedWrite, results: Sequence[AttemptResult]) -> None:
    # An audit entry needs a transaction, so only failures pay for one.
    failed = [result for result in results if result.failed]
    dead = [result for result in results if result.transition.status == Job.DEAD]
    if not failed and not dead:
        fence.commit(write)
        return
    with fence.collisions(), audit.transaction():
        fence.commit(write)
        if failed:
            _audit_failures(write.cycle, failed)
        for result in dead:
            details = {
                "endpoint_key": result.job.endpoint_key,
                "reason": result.transition.reason,
                "error": result.error,
            }
            audit_death(write.cycle, result.job.job_id, details)


def _audit_failures(cycle: ClaimedCycle, failed: Sequence[AttemptResult]) -> None:
    causes = sorted({(result.job.endpoint_key, _cause(result)) for result in failed})
    audit.record(
        Action.DISPATCH_FAILED,
        actor="orbit",
        object_type="cycle",
        object_id=str(cycle.id),
        namespace=cycle.namespace,
        after={
            "attempts": len(failed),
            "jobs": sorted({str(result.job.job_id) for result in failed}),
            "causes": [{"endpoint_key": key, "cause": cause} for key, cause in causes],
        },
    )


def _cause(result: AttemptResult) -> str:
    if result.answer is None:
        return "lost"
    if result.answer.status is not None:
        return f"status_{result.answer.status}"
    return str(result.answer.error_class)


def _wait(exc: Exception, pause: float) -> float:
    """Wait for the database; return the next pause. Raises ``exc`` if drained."""
    connection.close()
    if interrupts.process.drained:
        raise exc
    if availability.is_down(exc):
        # The slot isn't hung: it holds answers that exist nowhere else. With any other error that
        # repeats, it is.
        interrupts.prolong(settings.ORBIT_LEASE_SECONDS)
    time.sleep(pause)
    return min(LONGEST_PAUSE, pause * 2)


def _happened(write: fence.FencedWrite, results: Sequence[AttemptResult]) -> bool:
    """Return whether the commit whose answer was lost happened. Raises Fenced if it never can."""
    # After this it has happened or never will. It may have ended the cycle.
    is_ours = fence.reclaim(write.cycle)
    if _is_closed(results):
        return True
    if not is_ours:
        raise Fenced
    return False


def _is_closed(results: Sequence[AttemptResult]) -> bool:
    # If they are closed with another status, the cycle's new owner did it.
    with_receipt = [result for result in results if result.job.receipt_id is not None]
    without_receipt = [result.job.job_id for result in results if result.job.receipt_id is None]
    row = COUNT_CLOSED.one(
        receipts=[result.job.receipt_id for result in with_receipt],
        statuses=[str(result.status) for result in with_receipt],
        jobs=without_receipt,
    )
    return row == (len(results),)


def _wake_waiting_cycles(results: Sequence[AttemptResult]) -> None:
    reopened = {
        result.observation.state_id
        for result in results
        if result.job.is_probe and result.observation is not None and result.observation.up
    }
    for state_id in reopened:
        try:
            claim.wake_waiting_cycles(state_id)
        except fence.AWAY:
            # Waiters poll anyway. Don't abort: the pending answers exist only in this process.
            connection.close()


def _end_requeues(job_id: UUID) -> tuple[list[str], list[str]]:
    """Close the letters and cancel the requeues of a delivered job."""
    letters: list[str] = []
    jobs: list[str] = []
    # In rounds until one ends nothing, because a requeue may commit between the statements.
    while True:
        closed = fence.run(CLOSE_LETTERS_LATE.text, {"job": job_id})
        cancelled = fence.run(CANCEL_REQUEUED_JOBS.text, {"job": job_id})
        if not closed and not cancelled:
            return letters, jobs
        letters += [str(id_) for (id_,) in closed]
        jobs += [str(id_) for (id_,) in cancelled]


def _write_late_success(
    cycle: ClaimedCycle, attempt: Mapping[str, Any], ended: Mapping[str, Any]
) -> None:
    about = {
        "job_id": str(attempt["job_id"]),
        "endpoint_key": attempt["endpoint_key"],
        "attempt": attempt["attempt"],
    }
    data = {**about, "status_code": attempt["status_code"], **ended}
    write = fence.FencedWrite(cycle, RECORD_LATE_SUCCESS.text, ends=True)
    write.records.append(Record(STAGE, "delivered_late", data=data))
    write.events.append(
        Event(
            Name.DELIVERY_CONFIRMED,
            stage=STAGE,
            duration_ms=attempt["latency_ms"],
            metadata={**about, "late": True},
        )
    )
    fence.execute(write)
