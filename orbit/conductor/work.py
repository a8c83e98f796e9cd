"""What users do to one task: retry, cancel, release. Each leaves an audit entry."""

from governance import audit
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import sql
from orbit.conductor import ancestors, inputs, reading, retrying
from orbit.conductor.task_events import EVENTS
from orbit.errors import InvalidTransition, TaskUnknown
from orbit.models import ConductorParent, ConductorRun, ConductorTask
from orbit.records import pruned
from orbit.states import TASK, FailurePolicy, TaskState

CANCEL_TASK = sql.load(
    __name__, "cancel_task", events=EVENTS, sources=TASK.sql_sources(TaskState.CANCELLED)
)
RETRY_TASK = sql.load(__name__, "retry_task")
RELEASE_TASK = sql.load(__name__, "release_task")


def retry(task_id: str, *, actor: Actor, reason: str = "") -> ConductorTask:
    """Let a task that has failed for good be claimed once more, or those that failed under it.

    Under a parent the first batch is retried at once, the others soon.
    The failed tasks above it and its run are RUNNING again. Raises TaskUnknown, and
    InvalidTransition if it didn't fail, something above it has succeeded or was cancelled, or a
    parent would fail again at once.
    """
    actor.require(Scope.OPERATE)
    task = reading.find_task(task_id, actor=actor)
    with audit.transaction():
        # A parent is its own first "ancestor": it runs again too.
        above = task.pk if task.is_parent else task.parent_id
        _lock_run(task)
        task.refresh_from_db()
        if task.state != TaskState.FAILED:
            raise InvalidTransition(
                f"The task {task.pk} is {task.state}: only a failed one can be retried."
            )
        if task.ready:
            raise InvalidTransition(f"The task {task.pk} will be tried again by itself.")
        if task.is_parent:
            _check_hopeless(task)
        ancestors.reopen_ancestors(task.run_id, above, whole=task.is_parent)
        if not _make_ready(task):
            raise InvalidTransition(
                f"Under the task {task.pk} nothing has failed that could be retried."
            )
        _audit(Action.CONDUCTOR_TASK_RETRIED, task, actor=actor, reason=reason)
    task.refresh_from_db()
    return task


def cancel(task_id: str, *, actor: Actor, reason: str = "") -> ConductorTask:
    """Cancel a task at once, and what is open under it soon. A worker that has it loses its lease.

    Raises TaskUnknown, and InvalidTransition if it has ended.
    """
    actor.require(Scope.OPERATE)
    task = reading.find_task(task_id, actor=actor)
    with audit.transaction():
        _lock_run(task)
        task.refresh_from_db()
        if not CANCEL_TASK.rows(id=task.pk):
            task.refresh_from_db()
            raise InvalidTransition(f"The task {task.pk} has ended: it is {task.state}.")
        _audit(Action.CONDUCTOR_TASK_CANCELLED, task, actor=actor, reason=reason)
    task.refresh_from_db()
    return task


def release(task_id: str, *, attempt: int, actor: Actor, reason: str) -> ConductorTask:
    """Take a task from the worker of ``attempt``; others can claim it at once.

    The attempt makes it harmless to ask twice: a worker that has claimed the task since keeps it.
    Raises TaskUnknown, and InvalidTransition if no worker holds that attempt.
    """
    actor.require(Scope.OPERATE)
    task = reading.find_task(task_id, actor=actor)
    with audit.transaction():
        _lock_run(task)
        rows = RELEASE_TASK.rows(id=task.pk, attempt=attempt)
        task.refresh_from_db()
        if not rows:
            raise InvalidTransition(_not_held(task, attempt))
        ((worker,),) = rows
        audit.record(
            Action.CONDUCTOR_TASK_RELEASED,
            actor=actor.name,
            object_id=task.pk,
            namespace=task.namespace,
            before={"worker": worker, "attempt": attempt},
            after={"name": task.name, "run_id": task.run_id},
            reason=reason,
        )
    return task


def _not_held(task: ConductorTask, attempt: int) -> str:
    if task.lease_token is not None:
        return (
            f"{task.worker} has claimed the task {task.pk} since: this is attempt {task.attempt}, "
            f"not {attempt}. Look at it again before you release it."
        )
    return f"No worker holds the task {task.pk}: it is {task.state}."


def _lock_run(task: ConductorTask) -> None:
    # First, as aggregate does: it ends nothing of the run meanwhile, and neither deadlocks.
    # So does retention: it deletes a run from its last tasks to its first, and then the run.
    run = ConductorRun.objects.select_for_update(no_key=True).filter(pk=task.run_id).first()
    if run is None:
        raise TaskUnknown(pruned.unknown("task", task.pk))
    if run.pruning_since is not None:
        raise InvalidTransition(
            f"The run {run.pk} is being deleted by retention since"
            f" {run.pruning_since:%Y-%m-%d %H:%M} UTC: nothing can be done to its tasks."
        )


def _check_hopeless(task: ConductorTask) -> None:
    """Raise InvalidTransition if the parent would fail again at once."""
    parent = task.conductorparent
    if parent.fanout is None:
        raise InvalidTransition(f"The task {task.pk} can't succeed: {task.error} Create a new run.")
    if inputs.is_parent(task.input) or parent.failure_policy == FailurePolicy.WAIT_ALL:
        return  # children that fan-out made are all alike
    failed = ConductorParent.objects.filter(task__parent=task, task__state=TaskState.FAILED)
    hopeless = failed.filter(fanout=None).count()
    if hopeless > (parent.tolerated or 0):
        raise InvalidTransition(
            f"The task {task.pk} would fail again at once: the `input.fanout` of {hopeless} tasks"
            " under it isn't valid. Create a new run."
        )


def _make_ready(task: ConductorTask) -> bool:
    if not task.is_parent:
        return bool(RETRY_TASK.rows(id=task.pk))
    return retrying.retry_children(task.pk)


def _audit(action: Action, task: ConductorTask, *, actor: Actor, reason: str) -> None:
    audit.record(
        action,
        actor=actor.name,
        object_id=task.pk,
        namespace=task.namespace,
        before={"state": task.state},
        after={"name": task.name, "run_id": task.run_id},
        reason=reason,
    )
