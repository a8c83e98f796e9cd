"""End a cycle, in the write that closes its last delivery."""

import time
from collections.abc import Sequence
from typing import Any

from governance import audit
from governance.kernel import sql
from orbit.cycles import namespace_queue, progress
from orbit.cycles.progress import CycleProgress
from orbit.dispatch import dead_letters, enqueue, limits, receipts
from orbit.dispatch.attempt import AttemptResult
from orbit.dispatch.job_progress import JobProgress
from orbit.dispatch.loop import Finished
from orbit.pipeline import normalization
from orbit.records import fence, value_ledger
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record, clean
from orbit.records.fence import ClaimedCycle
from orbit.states import Attempt, Cycle
from telemetry.emit import Event
from telemetry.events import Name

#: What ends a cycle. ``add_to`` makes the rows.
END: dict[str, sql.Fragment] = {
    "finish_cycle": sql.fragment(__name__, "finish_cycle"),
    "promote_next": namespace_queue.PROMOTE_NEXT,
    "ledger": value_ledger.LEDGER,
}
#: What makes the deliveries of a cycle.
PREPARE: dict[str, sql.Fragment] = {
    "normalization": normalization.NORMALIZATION,
    "insert_jobs": enqueue.INSERT_JOBS,
}

CLOSE_DELIVERIES = sql.load(
    __name__,
    "close_deliveries",
    close_attempts=receipts.CLOSE_ATTEMPTS,
    update_circuits=limits.UPDATE_CIRCUITS,
    **END,
    **fence.FRAGMENTS,
)
PREPARE_DELIVERIES = sql.load(__name__, "prepare_deliveries", **PREPARE, **END, **fence.FRAGMENTS)
GIVE_UP = sql.load(
    __name__, "give_up", ended_status=dead_letters.ENDED_STATUS, **END, **fence.FRAGMENTS
)


def close(state: CycleProgress, finished: Finished, *, abandoned: bool = False) -> None:
    """Write the last results and the cycle's end at once. Raises Fenced."""
    write = fence.FencedWrite(state.cycle, CLOSE_DELIVERIES.text)
    receipts.add_to(write, finished.results)
    write.rows["ledger"] = []
    add_to(write, state, finished.due_in)
    receipts.commit(write, finished.results, abandoned=abandoned)


def save_results(state: CycleProgress, results: Sequence[AttemptResult]) -> None:
    """Save results; the last ones close the cycle. Raises Fenced, and AWAY's without an answer."""
    # The main thread of maintenance closes abandoned attempts too: it must not wait here.
    abandoned = all(
        result.answer is None and result.status == Attempt.UNKNOWN for result in results
    )
    state.jobs.count_results(results)
    if state.jobs.open:
        receipts.save(state.cycle, results, abandoned=abandoned)
    else:
        close(state, Finished(results), abandoned=abandoned)


def add_to(write: fence.FencedWrite, state: CycleProgress, wait: float | None = None) -> None:
    """Add the cycle's end to ``write``, whose statement contains ``END``."""
    cycle, jobs = state.cycle, state.jobs
    if state.final:
        # It had ended before: only give the lease back.
        write.rows["finishes"] = [_row(cycle, None)]
        write.ends = True
        counts = {"delivered": jobs.delivered, "dead": jobs.dead}
        write.records.append(Record("dispatch", "late_deliveries_ended", data=counts))
        return
    results = progress.stage_results(
        tiers_ok=state.tiers_ok,
        items=state.items,
        targets=state.targets,
        jobs=jobs.total,
        delivered=jobs.delivered,
        reused=state.reused,
    )
    status = progress.final_status(results)
    stages = [result.to_dict() for result in results]
    write.rows["finishes"] = [_row(cycle, status, stages=stages, wait=wait)]
    write.ends = True
    write.rows["ledger"] = _ledger(cycle, jobs.delivered)
    write.checkpoints += [Checkpoint.DISPATCH_COMPLETE, Checkpoint.CYCLE_FINISHED]
    if wait is not None:  # jobs outlive the dispatch deadline: the cycle stays due for them
        message = f"the stage's time is over: {len(jobs.open)} deliveries go on by themselves"
        write.records.append(
            Record("dispatch", "stage_deadline", message, "warning", {"open": len(jobs.open)})
        )
    _record_end(write, state, jobs, results[-1], status, stages)


def _record_end(
    write: fence.FencedWrite,
    state: CycleProgress,
    jobs: JobProgress,
    dispatch: progress.StageResult,
    status: Cycle,
    stages: list[dict[str, Any]],
) -> None:
    now = time.monotonic()
    duration, dispatch_ms = (now - state.began) * 1000, (now - jobs.began) * 1000
    level = "info" if status == Cycle.SUCCESS else "warning"
    if dispatch.skipped:
        message = "skipped"
    elif dispatch.ok:
        message = ""
    else:
        message = f"{dispatch.total - dispatch.done} of {dispatch.total} not delivered"
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
    """End ``cycle`` as failed, and record why. Raises Fenced."""
    # A cycle that had ended before keeps its status.
    final = Cycle(cycle.status) not in {Cycle.PENDING, Cycle.RUNNING}
    row = _row(cycle, None if final else Cycle.FAILED, reason=clean(reason))
    write = fence.FencedWrite(
        cycle,
        GIVE_UP.text,
        rows={"finishes": [row], "ledger": [] if final else _ledger(cycle, None)},
        ends=True,
    )
    write.records.append(Record("cycle", "given_up", message, "error", {"reason": reason}))
    if not final:
        status = {"status": Cycle.FAILED}
        write.checkpoints.append(Checkpoint.CYCLE_FINISHED)
        write.records.append(Record("cycle", "cycle_finished", reason, "error", dict(status)))
        write.events.append(
            Event(Name.EXECUTION_FINISHED, level="error", metadata={**status, "reason": reason})
        )
    with fence.collisions(), audit.transaction():
        died = [(job, key) for _, job, key in fence.commit(write) if job is not None]
        dead_letters.dead_letter_all([job for job, _ in died], reason="cycle_given_up")
        for job, key in died:
            facts = {
                "endpoint_key": key,
                "reason": "cycle_given_up",
                "error": "the cycle was given up",
            }
            receipts.audit_death(cycle, job, facts)


def _ledger(cycle: ClaimedCycle, delivered: int | None) -> list[dict[str, Any]]:
    # The value of a re-run was metered with the cycle that it repeats.
    valued = (cycle.takeover or {}).get("valued")
    return value_ledger.rows(
        cycle_id=cycle.id,
        namespace=cycle.namespace,
        profile_id=cycle.profile_id,
        run_profile_id=cycle.run_profile_id,
        tags=[] if valued else list(cycle.context.get("value_tags", [])),
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
        "cycle_id": cycle.id,
        "status": status,
        "stages": stages,
        "reason": reason,
        "requeues": cycle.requeues,
        "wait": wait,
    }
