"""Cancel a cycle at once, even if it is halted."""

from uuid import UUID

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import pg_text, reasons, sql
from orbit.cycles import namespace_queue
from orbit.dispatch import dead_letters
from orbit.errors import CycleFinished, CycleUnknown
from orbit.models import CycleRun
from orbit.records import execution, pruned
from orbit.records.execution import Record
from orbit.states import ACTIVE, CYCLE, Cycle, Job
from orbit.tracing import report
from telemetry import emit
from telemetry.emit import Event
from telemetry.events import Name

CANCEL_CYCLE = sql.load(__name__, "cancel_cycle", cancel_sources=CYCLE.sql_sources(Cycle.CANCELLED))
CANCEL_JOBS = sql.load(__name__, "cancel_jobs", ended_status=dead_letters.ENDED_STATUS)
REPORT_CANCELLED = sql.load(__name__, "report_cancelled", events=emit.EVENTS)
STAY_DUE = sql.load(__name__, "stay_due_for_attempts")
_CANCELLED = {"status": str(Cycle.CANCELLED)}


def cancel(cycle_id: UUID, *, actor: Actor, reason: str) -> None:
    """End the cycle and its unsent deliveries. Raises CycleUnknown and CycleFinished."""
    actor.require(Scope.OPERATE)
    namespace, profile_id = (
        CycleRun.objects.filter(pk=cycle_id).values_list("namespace__name", "profile_id").first()
    ) or (None, None)
    if namespace is None or not actor.sees(namespace):
        raise CycleUnknown(pruned.unknown("cycle", cycle_id))
    with audit.transaction():
        note = execution.clean(f"cancelled by {actor.name}: {reason or reasons.NO_REASON}")
        cancelled = CANCEL_CYCLE.one(id=cycle_id, reason=note)
        if cancelled is None:
            raise CycleFinished(f"The cycle {cycle_id} has finished: nothing is left to cancel.")
        (status_before,) = cancelled
        # In statements of their own: the first may have waited for a write of the worker, and does
        # not see the rows that this write made.
        jobs = CANCEL_JOBS.rows(id=cycle_id)
        STAY_DUE.execute(id=cycle_id)
        letters = dead_letters.dead_letter_all(
            [job for job, status in jobs if status == Job.DEAD], reason="cancelled"
        )
        if status_before in ACTIVE:  # a queued one blocked no other
            namespace_queue.promote_next(namespace)
        data = {"by": actor.name, "jobs": len(jobs)}
        execution.write(
            Record("cycle", "cycle_cancelled", reason, "warning", data),
            namespace=namespace,
            cycle_id=cycle_id,
        )
        event = Event(Name.EXECUTION_FINISHED, level="warning", metadata=_CANCELLED)
        row = emit.row(event, run_id=str(cycle_id), namespace=namespace, profile_id=profile_id)
        REPORT_CANCELLED.rows(ids=[cycle_id], events=pg_text.dumps([row]))
        audit.record(
            Action.CYCLE_CANCELLED,
            actor=actor.name,
            object_id=str(cycle_id),
            namespace=namespace,
            before={"status": status_before},
            after={
                "status": str(Cycle.CANCELLED),
                "jobs_cancelled": len(jobs),
                **({"dead_letters": letters} if letters else {}),
            },
            reason=reason,
        )
        report.ended(cycle_id)
