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
from orbit.records import execution, fence
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle
from orbit.states import ATTEMPT, JOB, LETTER, Attempt, Job, Letter
from telemetry import emit
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "dispatch"

# The job first, as the statement does that closes attempts. ``status || ''`` keeps the planner from the partial indexes over open rows.
ABSORB = f"""WITH found AS (
    SELECT * FROM json_to_recordset(%(attempts)s::json) AS x(receipt_id uuid, job_id uuid, status_code int, latency_ms float8, excerpt text)),
held AS MATERIALIZED (
    SELECT j.id, j.status FROM orbit_dispatchjob j WHERE j.id IN (SELECT job_id FROM found) FOR NO KEY UPDATE),
receipts AS (
    UPDATE orbit_deliveryreceipt r SET status = 'delivered', finished_at = clock_timestamp(), status_code = found.status_code, error = '',
        error_class = NULL, latency_ms = found.latency_ms, response_excerpt = found.excerpt
    FROM found JOIN held ON held.id = found.job_id WHERE r.id = found.receipt_id AND r.status || '' IN ({ATTEMPT.sql_sources(Attempt.DELIVERED)})),
jobs AS (
    UPDATE orbit_dispatchjob j SET status = 'delivered', next_attempt_at = NULL, finished_at = clock_timestamp()
    FROM held WHERE j.id = held.id AND held.status IN ({JOB.sql_sources(Job.DELIVERED)}) RETURNING held.status AS was)
SELECT was FROM jobs"""

# As an array: of a join the planner thinks that a chain is long, and walks all letters for it.
_CHAIN = """WITH RECURSIVE chain AS (
    SELECT %(job)s::uuid AS id UNION ALL SELECT j.id FROM chain JOIN orbit_dispatchjob j ON j.requeue_of_id = chain.id)"""
LETTERS = f"""{_CHAIN}
UPDATE orbit_deadletterdispatch l SET status = 'delivered_late', resolved_at = clock_timestamp(), resolved_by = 'orbit', resolved_reason = 'a 2xx arrived late'
WHERE l.job_id = ANY (ARRAY(SELECT id FROM chain)) AND l.status || '' IN ({LETTER.sql_sources(Letter.DELIVERED_LATE)}) RETURNING l.id"""
COPIES = f"""{_CHAIN}
UPDATE orbit_dispatchjob c SET status = 'cancelled', next_attempt_at = NULL, finished_at = clock_timestamp(), last_error = 'the original was delivered late'
WHERE c.id = ANY (ARRAY(SELECT id FROM chain)) AND c.id <> %(job)s::uuid AND c.status || '' IN ({JOB.sql_sources(Job.CANCELLED)}) RETURNING c.id"""

# The cycle is nobody's here: what goes on record asks for no token.
TRACE = f"""WITH locked AS (SELECT unnest(%(ids)s::uuid[]) AS id),
{execution.RECORDS_CTE},
{emit.EVENTS_CTE}
SELECT id FROM locked"""


def absorb(work: ClaimedCycle, attempt: Mapping[str, Any]) -> None:
    """Put the 2xx of one ``attempt`` on record, a row as its receipt is closed with, and end what it ends. Done twice it changes nothing."""
    job_id = UUID(attempt["job_id"])
    with audit.transaction():
        rows = fence.run(
            ABSORB, fence.FencedWrite(work, ABSORB, rows={"attempts": [dict(attempt)]}).parameters()
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
        closed = [str(id_) for (id_,) in fence.run(LETTERS, {"job": job_id})]
        cancelled = [str(id_) for (id_,) in fence.run(COPIES, {"job": job_id})]
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
    write = fence.FencedWrite(work, TRACE)
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
    fence.run(TRACE, write.parameters())
