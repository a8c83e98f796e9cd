"""Completing attempts: receipt, job and, where it ends so, dead letter, in the statement that the cycle's fence guards.

A 2xx is never lost. It is written again and again until the database takes it, and a worker that has lost its cycle still brings it home,
without a fence since a success only ever ends things (``late``). Everything else of such a worker is refused.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from governance import audit
from governance.audit.actions import Action
from governance.kernel import sql
from governance.kernel.identifiers import uuid7, uuid7_text
from orbit import interrupts
from orbit.dispatch import circuit, late
from orbit.dispatch.judge import Closed
from orbit.outbound.client import Answer
from orbit.records import execution, fence
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle, Fenced
from orbit.states import ATTEMPT, Attempt, Job
from telemetry.emit import Event
from telemetry.events import Name

STAGE = "dispatch"
# Between tries while the database is away; doubled up to two seconds.
FIRST_PAUSE = 0.1

#: CTEs of fenced statements; ``put`` makes their rows.
CLOSE_ATTEMPTS = sql.fragment(
    __name__, "close_attempts", receipt_sources=ATTEMPT.sql_sources(Attempt.FAILED)
)
CTES = (
    CLOSE_ATTEMPTS.text,
    circuit.UPDATE_CIRCUITS.text,
)  # for statements that are not in a file yet

COUNT_CLOSED = sql.load(__name__, "count_closed")


def add_to(write: fence.FencedWrite, closed: Sequence[Closed]) -> None:
    """Put the ends of attempts into ``write``, whose statement has ``CTES``."""
    write.rows["attempts"] = [_row(write.work, item) for item in closed]
    signs = [item.sign for item in closed if item.sign is not None]
    write.rows["circuits"] = circuit.rows(
        signs, cycle_id=write.work.id, record_ids=[uuid7_text() for _ in signs]
    )
    for item in closed:
        _tell(write, item)


def _row(work: ClaimedCycle, item: Closed) -> dict[str, Any]:
    answer = item.answer
    return {
        "receipt_id": str(item.sending.receipt_id) if item.sending.receipt_id else None,
        "job_id": str(item.sending.job_id),
        "cycle_id": str(work.id),
        "letter_id": str(uuid7()),
        "status": item.status,
        "job_status": item.move.status,
        "status_code": answer.status if answer else None,
        "error_class": (answer.error_class if answer else None)
        or ("lost" if item.status == Attempt.UNKNOWN and answer is None else None),
        "error": item.error,
        "latency_ms": answer.latency_ms if answer else None,
        "excerpt": excerpt(answer),
        "wait": item.move.wait,
        "spent": item.move.spent,
        "reason": item.move.reason,
        "endpoint_key": item.sending.endpoint_key,
        "attempt": item.sending.attempt,
        "confirms": item.confirms,
    }


def excerpt(answer: Answer | None) -> str:
    """Return the kept beginning of an answer's body as text: what is not UTF-8, and NUL, shows as a replacement character."""
    return answer.excerpt.decode("utf-8", "replace").replace("\x00", "\ufffd") if answer else ""


def _tell(write: fence.FencedWrite, item: Closed) -> None:
    sending, answer = item.sending, item.answer
    level = "warning" if item.failed else "info"
    data = {
        "job_id": str(sending.job_id),
        "attempt": sending.attempt,
        "endpoint_key": sending.endpoint_key,
        "outcome": item.status,
        "status_code": answer.status if answer else None,
        "wait": round(item.move.wait, 3) if item.move.wait is not None else None,
    }
    if sending.receipt_id is not None:
        write.records.append(Record(STAGE, "delivery_attempt", item.error, level, data))
    latency = answer.latency_ms if answer else None
    metadata = {
        "job_id": str(sending.job_id),
        "endpoint_key": sending.endpoint_key,
        "attempt": sending.attempt,
    }
    if item.move.status == Job.DELIVERED:
        write.events.append(
            Event(Name.DELIVERY_CONFIRMED, stage=STAGE, duration_ms=latency, metadata=metadata)
        )
    elif sending.receipt_id is not None:
        write.events.append(
            Event(
                Name.DELIVERY_ATTEMPT,
                stage=STAGE,
                level=level,
                duration_ms=latency,
                metadata={**metadata, "outcome": item.status},
            )
        )
    if item.move.status == Job.DEAD:
        message = f"{sending.endpoint_key}: {item.move.reason} after {sending.attempt} attempts"
        write.records.append(
            Record(
                STAGE,
                "dead_letter_created",
                message,
                "error",
                {"job_id": str(sending.job_id), "reason": item.move.reason},
            )
        )


def commit(write: fence.FencedWrite, closed: Sequence[Closed]) -> None:
    """Make the ends of attempts durable, however long the database is away.

    Raises Fenced when the cycle is another's; successes are on record all the same then. A commit whose answer was lost is told by the
    receipts: when each says what was to be written, it happened.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            _commit_audited(write, closed)
            return
        except Fenced:
            bring_home(write.work, closed)
            raise
        except fence.AWAY as exc:
            if not closed:
                raise
            pause = _wait(exc, pause)
            if _is_done(closed):
                return


def _wait(exc: Exception, pause: float) -> float:
    """Wait for a database that failed with ``exc``; return the next pause. Raises it where this process has no time left."""
    connection.close()
    if interrupts.process.drained:
        raise exc
    code = getattr(exc.__cause__, "sqlstate", None)
    if code is None or code.startswith(("08", "25", "53", "57P")):
        # The server is away, or has no room left: the lane doesn't hang, it holds answers that are nowhere else. A statement that fails
        # again and again is hung.
        interrupts.prolong(settings.ORBIT_LEASE_SECONDS)
    time.sleep(pause)
    return min(2.0, pause * 2)


def _commit_audited(write: fence.FencedWrite, closed: Sequence[Closed]) -> None:
    """One statement; where failures are among them, a short transaction with the audit trail's entries appended last."""
    failed = [item for item in closed if item.failed]
    dead = [item for item in closed if item.move.status == Job.DEAD]
    if not failed and not dead:
        fence.commit(write)
        return
    with audit.transaction():
        fence.commit(write)
        if failed:
            _audit_failures(write.work, failed)
        for item in dead:
            about = {
                "endpoint_key": item.sending.endpoint_key,
                "reason": item.move.reason,
                "error": item.error,
            }
            audit_death(write.work, item.sending.job_id, about)


def audit_death(work: ClaimedCycle, job_id: UUID, about: Mapping[str, Any]) -> None:
    """Put the dead letter of a job on the audit trail, in the deed that made it."""
    audit.record(
        Action.DEAD_LETTER_CREATED,
        actor="orbit",
        object_id=str(job_id),
        namespace=work.namespace,
        after={"cycle_id": str(work.id), **about},
    )


def _audit_failures(work: ClaimedCycle, failed: Sequence[Closed]) -> None:
    causes = sorted({(item.sending.endpoint_key, _cause(item)) for item in failed})
    audit.record(
        Action.DISPATCH_FAILED,
        actor="orbit",
        object_id=str(work.id),
        namespace=work.namespace,
        after={
            "attempts": len(failed),
            "jobs": sorted({str(item.sending.job_id) for item in failed}),
            "causes": [{"endpoint_key": key, "cause": cause} for key, cause in causes],
        },
    )


def _cause(item: Closed) -> str:
    if item.answer is None:
        return "lost"
    return (
        f"status_{item.answer.status}"
        if item.answer.status is not None
        else str(item.answer.error_class)
    )


def _is_done(closed: Sequence[Closed]) -> bool:
    """Tell whether the receipts say what was to be written. Closed as something else, they are the work of whoever took the cycle over."""
    attempts = [item for item in closed if item.sending.receipt_id is not None]
    given_up = [item.sending.job_id for item in closed if item.sending.receipt_id is None]
    try:
        row = COUNT_CLOSED.one(
            receipts=[item.sending.receipt_id for item in attempts],
            statuses=[str(item.status) for item in attempts],
            jobs=given_up,
        )
        return row == (len(closed),)
    except fence.AWAY:
        connection.close()
        return False


def bring_home(work: ClaimedCycle, closed: Sequence[Closed]) -> None:
    """Write what a worker without its cycle may still write: the successes that it received, and that it was fenced.

    However long the database is away; done twice it changes nothing but the record.
    """
    won = [_row(work, item) for item in closed if item.status == Attempt.DELIVERED]
    message = f"token {work.token} is no longer the cycle's: {len(won)} of {len(closed)} answers were a 2xx and are kept"
    pause = FIRST_PAUSE
    while True:
        try:
            for attempt in won:
                late.absorb(work, attempt)
            execution.write(
                Record(STAGE, "fenced", message, "warning"),
                namespace=work.namespace,
                cycle_id=work.id,
            )
            return
        except fence.AWAY as exc:
            pause = _wait(exc, pause)
