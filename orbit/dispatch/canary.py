"""The canary of a bulk requeue, and how the jobs after it end.

One job goes first. The others wait until it is delivered; many deaths in a row stop the run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from governance.kernel import sql
from governance.models import OperationRun
from governance.operations.bulk import (
    CanaryDecision,
    ItemResult,
    StopRun,
    TakeNext,
    WaitForCanary,
    save_results,
)
from governance.states import ItemOutcome, Outcome
from orbit.models import DeadLetterDispatch
from orbit.states import Job, Letter

PATIENCE_SECONDS = 600.0
MAX_DEAD_IN_A_ROW = 10
# Read only this many of the newest jobs, so that a slice of a large run stays short.
_WINDOW = 20_000

_READ_CANARY = sql.load(__name__, "read_canary")
_READ_ENDED_JOBS = sql.load(__name__, "read_ended_jobs", window=_WINDOW)


class CanaryState(StrEnum):
    """Whether the canary was delivered."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """The canary's state, and a note unless it was delivered."""

    state: CanaryState
    note: str = ""


def check(run: OperationRun, progress: dict[str, Any]) -> CanaryDecision:
    """Decide whether the run may take its next letters."""
    job_id = progress.get("canary_job_id")
    if job_id is None:
        return TakeNext(progress, canary_only=True)
    if not progress.get("canary_delivered"):
        row = _READ_CANARY.one(id=UUID(job_id))
        result = (
            CanaryResult(CanaryState.FAILED, "the canary's job is gone")
            if row is None
            else classify(*row)
        )
        if result.state is CanaryState.PENDING:
            return WaitForCanary(result.note)
        if result.state is CanaryState.FAILED:
            return _failed(run, UUID(job_id), progress, result.note)
        progress = {**progress, "canary_delivered": True}
    progress = _count_ended_jobs(run.pk, progress)
    if progress["dead_in_a_row"] >= MAX_DEAD_IN_A_ROW:
        note = (
            f"stopped: {MAX_DEAD_IN_A_ROW} of its deliveries in a row ended dead;"
            " letters that it hasn't reached stay open"
        )
        return StopRun(Outcome.PARTIALLY_SUCCEEDED, {**progress, "note": note})
    return TakeNext(progress)


def classify(status: str, error: str, letter: str, reason: str | None, age: float) -> CanaryResult:
    """Return the state of a canary, from its job and letter. ``age``: seconds."""
    if status == Job.DELIVERED or letter == Letter.DELIVERED_LATE:
        return CanaryResult(CanaryState.DELIVERED)
    if status == Job.DEAD:
        why = f"the canary died ({reason or 'no reason'}: {error or 'no error'})"
        return CanaryResult(CanaryState.FAILED, f"{why}; nothing else was sent")
    if status == Job.CANCELLED:
        why = f"the canary was cancelled ({error or 'no error'})"
        return CanaryResult(CanaryState.FAILED, f"{why}; nothing else was sent")
    if age > PATIENCE_SECONDS:
        minutes = f"{PATIENCE_SECONDS / 60:.0f} minutes"
        why = f"the canary was not delivered within {minutes} ({error or status})"
        return CanaryResult(
            CanaryState.FAILED, f"{why}; nothing else was sent, and its own job goes on"
        )
    return CanaryResult(
        CanaryState.PENDING,
        f"waiting for the canary to be delivered ({status}{': ' + error if error else ''})",
    )


def follow_from(progress: dict[str, Any], letter_id: UUID, job_id: UUID) -> None:
    """Note the oldest requeued letter; the first job is the canary."""
    # A letter whose namespace was halted comes after younger ones; its job has to be followed too.
    progress["first_open"] = min(str(letter_id), progress.get("first_open", str(letter_id)))
    progress.setdefault("canary_job_id", str(job_id))


def dead_in_a_row(before: int, statuses: Iterable[str]) -> int:
    """Add ``statuses`` to the count of jobs that died in a row."""
    for status in statuses:
        before = 0 if status == Job.DELIVERED else before + 1
        # The run stops here: a later success must not reset the count.
        if before >= MAX_DEAD_IN_A_ROW:
            return before
    return before


def _count_ended_jobs(run_id: UUID, progress: Mapping[str, Any]) -> dict[str, Any]:
    since = progress.get("seen_until")
    row = _READ_ENDED_JOBS.one(run=run_id, first=progress.get("first_open"), since=since)
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    first_open, newest, statuses, last_end = row
    statuses = statuses or ()
    return {
        **progress,
        "delivered": progress.get("delivered", 0) + statuses.count(Job.DELIVERED),
        "dead": progress.get("dead", 0) + statuses.count(Job.DEAD),
        "dead_in_a_row": dead_in_a_row(progress.get("dead_in_a_row", 0), statuses),
        **_edge(first_open or newest),
        **_seen_until(last_end, since),
    }


def _edge(letter_id: UUID | None) -> dict[str, str]:
    # All jobs of letters before this one have ended and are counted.
    return {} if letter_id is None else {"first_open": str(letter_id)}


def _seen_until(last_end: datetime | None, before: str | None) -> dict[str, str]:
    return {} if last_end is None else {"seen_until": max(last_end.isoformat(), before or "")}


def _failed(run: OperationRun, job_id: UUID, progress: dict[str, Any], note: str) -> StopRun:
    letter = DeadLetterDispatch.objects.get(requeued_job=job_id)
    # Its requeue was counted as a success.
    uncounted = {
        **progress,
        "processed": progress["processed"] - 1,
        "succeeded": progress["succeeded"] - 1,
    }
    counted = save_results(run, [ItemResult(letter.pk, ItemOutcome.FAILED, note)], uncounted)
    return StopRun(Outcome.FAILED, {**counted, "note": note})
