"""The end of a cycle: its status, its ledger, its last checkpoints, and the turn of the next, in the write that closes its last delivery."""

import time
from collections.abc import Sequence
from typing import Any

from governance import audit
from orbit.cycles import namespace_queue, progress
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import dead_letters, enqueue, receipts
from orbit.dispatch.attempt import AttemptResult
from orbit.dispatch.loop import Finished
from orbit.pipeline import normalization
from orbit.records import fence, value_ledger
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record, clean
from orbit.records.fence import ClaimedCycle
from orbit.states import Cycle
from telemetry.emit import Event
from telemetry.events import Name

# A requeue that came while the cycle was held raised ``requeues``: then there is a new job, and the cycle stays due. The comparison is made
# on the row as it is when the statement holds its lock, not as its snapshot saw it.
FINISH_CTE = """finishes AS (
    UPDATE orbit_cyclerun c SET status = coalesce(x.status, c.status), stages = coalesce(x.stages, c.stages), reason = coalesce(x.reason, c.reason),
        finished_at = coalesce(c.finished_at, clock_timestamp()), lease_owner = NULL, lease_expires_at = NULL,
        next_due_at = CASE WHEN c.requeues = x.requeues THEN clock_timestamp() + x.wait * interval '1 second' ELSE clock_timestamp() END
    FROM json_to_recordset(%(finishes)s::json) AS x(cycle_id uuid, status text, stages jsonb, reason text, requeues int, wait float8)
    JOIN locked ON locked.id = x.cycle_id WHERE c.id = locked.id
    RETURNING c.namespace, x.status IS NOT NULL AND locked.status IN ('pending', 'running') AS ended)"""

CTES = (FINISH_CTE, namespace_queue.PROMOTE_CTE, value_ledger.LEDGER_CTE)

#: Closes deliveries, and with the last one the cycle.
CLOSE = fence.statement(*receipts.CTES, *CTES)

#: Normalization and enqueueing, and the end of a cycle that has nothing to deliver.
PREPARE_CTES = (*normalization.CTES, *enqueue.CTES, *CTES)
PREPARE = fence.statement(*PREPARE_CTES)

#: Gives a cycle up: attempts that a lost worker left open are unknown, jobs that were not sent are cancelled, requeued ones dead; nothing is deleted.
GIVE_UP = fence.statement(
    f"""cancelled AS (
    UPDATE orbit_dispatchjob j SET status = {dead_letters.ENDED_SQL}, next_attempt_at = NULL, finished_at = clock_timestamp(), last_error = 'the cycle was given up'
    FROM locked WHERE j.cycle_id = locked.id AND j.status IN ('pending', 'sending') RETURNING j.id, j.status, j.cycle_id, j.endpoint_key),
unknown AS (
    UPDATE orbit_deliveryreceipt r SET status = 'unknown', finished_at = clock_timestamp(), error = 'the cycle was given up'
    FROM cancelled WHERE r.job_id = cancelled.id AND r.status = 'sending')""",
    *CTES,
    select="SELECT locked.id, died.id, died.endpoint_key FROM locked LEFT JOIN cancelled died ON died.cycle_id = locked.id AND died.status = 'dead'",
)


def close(state: CycleProgress, finished: Finished) -> None:
    """Write the last results of a cycle and its end, in one statement. Raises Fenced."""
    write = fence.FencedWrite(state.cycle, CLOSE)
    receipts.add_to(write, finished.results)
    write.rows["ledger"] = []
    add_to(write, state, finished.due_in)
    receipts.commit(write, finished.results)


def save_results(state: CycleProgress, results: Sequence[AttemptResult]) -> None:
    """Save the results of attempts; with the last one, close the cycle. Raises Fenced."""
    state.jobs.count_results(results)
    if state.jobs.open:
        receipts.save(state.cycle, results)
    else:
        close(state, Finished(results))


def add_to(write: fence.FencedWrite, state: CycleProgress, wait: float | None = None) -> None:
    """Put the cycle's end into ``write``, whose statement has ``CTES``. One that had ended before only lets go of its lease.

    With ``wait`` jobs are open that outlive it: the cycle is due for them in so many seconds.
    """
    cycle, jobs = state.cycle, state.jobs
    if state.final:
        write.rows["finishes"] = [_row(cycle, None)]
        write.records.append(
            Record(
                "dispatch",
                "late_deliveries_ended",
                data={"delivered": jobs.delivered, "dead": jobs.dead},
            )
        )
        return
    found = progress.stage_results(
        tiers_ok=state.tiers_ok,
        items=state.items,
        targets=state.targets,
        jobs=jobs.total,
        delivered=jobs.delivered,
        reused=state.reused,
    )
    status = progress.final_status(found)
    dispatch = found[-1]
    message = (
        "skipped"
        if dispatch.skipped
        else ""
        if dispatch.ok
        else f"{dispatch.total - dispatch.done} of {dispatch.total} not delivered"
    )
    stages = [stage.to_dict() for stage in found]
    now = time.monotonic()
    duration, dispatch_ms = (now - state.began) * 1000, (now - jobs.began) * 1000
    write.rows["finishes"] = [_row(cycle, status, stages=stages, wait=wait)]
    write.rows["ledger"] = _ledger(cycle, jobs.delivered)
    write.checkpoints += [Checkpoint.DISPATCH_COMPLETE, Checkpoint.CYCLE_FINISHED]
    level = "info" if status == Cycle.SUCCESS else "warning"
    if wait is not None:
        over = f"the stage's time is over: {len(jobs.open)} deliveries go on by themselves"
        write.records.append(
            Record("dispatch", "stage_deadline", over, "warning", {"open": len(jobs.open)})
        )
    write.records += [
        Record(
            "dispatch",
            "stage_finished",
            message,
            "info" if dispatch.ok else "warning",
            {**dispatch.to_dict(), "duration_ms": round(dispatch_ms, 3)},
        ),
        Record(
            "cycle",
            "cycle_finished",
            status,
            level,
            {"status": status, "stages": stages, "duration_ms": round(duration, 3)},
        ),
    ]
    write.events += [
        Event(
            Name.STAGE_FINISHED,
            stage="dispatch",
            duration_ms=dispatch_ms,
            metadata={"ok": dispatch.ok},
        ),
        Event(
            Name.EXECUTION_FINISHED, level=level, duration_ms=duration, metadata={"status": status}
        ),
    ]


def give_up(cycle: ClaimedCycle, *, reason: str, message: str) -> None:
    """End ``cycle`` as failed with ``reason`` and an error record; what earlier stages wrote stays, and is metered. Raises Fenced."""
    final = Cycle(cycle.status) not in {Cycle.PENDING, Cycle.RUNNING}
    row = _row(cycle, None if final else Cycle.FAILED, reason=clean(reason))
    write = fence.FencedWrite(
        cycle, GIVE_UP, rows={"finishes": [row], "ledger": [] if final else _ledger(cycle, None)}
    )
    write.records.append(Record("cycle", "given_up", message, "error", {"reason": reason}))
    if not final:
        write.checkpoints.append(Checkpoint.CYCLE_FINISHED)
        write.records.append(
            Record("cycle", "cycle_finished", reason, "error", {"status": Cycle.FAILED})
        )
        write.events.append(
            Event(
                Name.EXECUTION_FINISHED,
                level="error",
                metadata={"status": Cycle.FAILED, "reason": reason},
            )
        )
    with audit.transaction():
        died = [(job, key) for _, job, key in fence.commit(write) if job is not None]
        dead_letters.dead_letter_all([job for job, _ in died], reason="cycle_given_up")
        for job, key in died:
            receipts.audit_death(
                cycle,
                job,
                {
                    "endpoint_key": key,
                    "reason": "cycle_given_up",
                    "error": "the cycle was given up",
                },
            )


def _ledger(cycle: ClaimedCycle, delivered: int | None) -> list[dict[str, Any]]:
    # What a re-run completes was metered with the cycle that it repeats.
    tags = [] if (cycle.takeover or {}).get("valued") else list(cycle.context.get("value_tags", []))
    return value_ledger.rows(
        cycle_id=cycle.id,
        namespace=cycle.namespace,
        profile_id=cycle.profile_id,
        run_profile_id=cycle.run_profile_id,
        tags=tags,
        delivered=delivered,
    )


def _row(
    cycle: ClaimedCycle,
    status: Cycle | None,
    *,
    stages: list[dict[str, Any]] | None = None,
    reason: str | None = None,
    wait: float | None = None,
) -> dict[str, Any]:
    return {
        "cycle_id": str(cycle.id),
        "status": status,
        "stages": stages,
        "reason": reason,
        "requeues": cycle.requeues,
        "wait": wait,
    }
