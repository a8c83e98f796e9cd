"""A 2xx that a worker brings whose cycle is another's by now: what it ends, and the trace of that.

It needs no fence, since a success only ever ends things: its attempt, its job, the dead letters of the job, and the copies of it that
requeues and re-runs made. All that is one transaction for each job, of statements that see what the one before had to wait for: a death, a
requeue or the slice of a bulk run that was just committing. Letters and copies take turns until a round finds none, so that no copy slips
through between the two; a copy that is on its way is ended too, for it may not be tried again. Whoever waits here for a letter holds
nothing but the ended job and what hangs on it, which nobody wants who holds a cycle: these transactions never wait for each other in a circle.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from governance import audit
from governance.audit.actions import Action
from governance.kernel import sql
from orbit.records import execution, fence
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle
from orbit.states import ATTEMPT, JOB, LETTER, Attempt, Job, Letter
from telemetry import emit
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "dispatch"

DELIVER = sql.load(
    __name__,
    "deliver_late",
    receipt_sources=ATTEMPT.sql_sources(Attempt.DELIVERED),
    job_sources=JOB.sql_sources(Job.DELIVERED),
)
_CHAIN = sql.fragment(__name__, "requeue_chain")
CLOSE_LETTERS = sql.load(
    __name__,
    "close_letters_late",
    requeue_chain=_CHAIN,
    letter_sources=LETTER.sql_sources(Letter.DELIVERED_LATE),
)
CANCEL_REQUEUED = sql.load(
    __name__,
    "cancel_requeued_jobs",
    requeue_chain=_CHAIN,
    job_sources=JOB.sql_sources(Job.CANCELLED),
)
RECORD = sql.load(__name__, "record_late_success", records=execution.RECORDS, events=emit.EVENTS)


def absorb(work: ClaimedCycle, attempt: Mapping[str, Any]) -> None:
    """Put the 2xx of one ``attempt`` on record, a row as its receipt is closed with, and end what it ends. Done twice it changes nothing."""
    job_id = UUID(attempt["job_id"])
    with audit.transaction():
        rows = fence.run(
            DELIVER.text,
            fence.FencedWrite(work, DELIVER.text, rows={"attempts": [dict(attempt)]}).parameters(),
        )
        if not rows:
            return
        was = Job(rows[0][0])
        letters, copies = _end(job_id)
        ended = {"dead_letters": letters, "copies_cancelled": copies}
        _trace(work, attempt, {"was": str(was), **ended})
        # What was still open, and had no copy, is delivered as any other: that is no change of anybody's decision.
        if letters or copies or was in {Job.DEAD, Job.CANCELLED}:
            audit.record(
                Action.DELIVERY_CONFIRMED_LATE,
                actor="orbit",
                object_id=str(job_id),
                namespace=work.namespace,
                before={"status": str(was)},
                after={
                    "status": str(Job.DELIVERED),
                    "cycle_id": str(work.id),
                    "attempt": attempt["attempt"],
                    **ended,
                },
            )


def _end(job_id: UUID) -> tuple[list[str], list[str]]:
    """End the letters and copies of a job that was delivered; return their ids."""
    letters: list[str] = []
    copies: list[str] = []
    while True:
        closed = [str(id_) for (id_,) in fence.run(CLOSE_LETTERS.text, {"job": job_id})]
        cancelled = [str(id_) for (id_,) in fence.run(CANCEL_REQUEUED.text, {"job": job_id})]
        if not closed and not cancelled:
            return letters, copies
        letters += closed
        copies += cancelled


def _trace(work: ClaimedCycle, attempt: Mapping[str, Any], ended: Mapping[str, Any]) -> None:
    about = {
        "job_id": attempt["job_id"],
        "endpoint_key": attempt["endpoint_key"],
        "attempt": attempt["attempt"],
    }
    write = fence.FencedWrite(work, RECORD.text)
    write.records.append(
        Record(
            STAGE, "delivered_late", data={**about, "status_code": attempt["status_code"], **ended}
        )
    )
    write.events.append(
        Event(
            Name.DELIVERY_CONFIRMED,
            stage=STAGE,
            duration_ms=attempt["latency_ms"],
            metadata={**about, "late": True},
        )
    )
    fence.run(RECORD.text, write.parameters())
