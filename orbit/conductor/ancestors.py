"""Make what had failed because of a task run again."""

from django.db import transaction

from governance.kernel import sql
from orbit.conductor.task_events import EVENTS
from orbit.errors import InvalidTransition
from orbit.models import ConductorRun
from orbit.states import TaskState

REOPEN_ANCESTORS = sql.load(
    __name__, "reopen_ancestors", events=EVENTS, goes_on=sql.fragment(__name__, "goes_on")
)
_FINAL = (TaskState.SUCCEEDED, TaskState.CANCELLED)


def reopen_ancestors(run_id: str, parent_id: str | None, *, whole: bool = False) -> None:
    """Make the failed ancestors and the run RUNNING again, before a task is retried.

    ``parent_id``: of the task; None for a root. ``whole``: this parent itself is retried, with all
    that failed under it. Call it in the transaction of the retry, and before the task is locked:
    the run is locked first, so that aggregate can't end anything meanwhile. Raises
    InvalidTransition if an ancestor or the run has succeeded or was cancelled, or if an ancestor
    would fail again at once because of other tasks, and cancel this one.
    """
    with transaction.atomic():
        run = ConductorRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.state in _FINAL or run.cancel_requested_at:
            state = "being cancelled" if run.state not in _FINAL else run.state
            raise InvalidTransition(f"The run {run_id} is {state}: its tasks can't be retried.")
        rows = REOPEN_ANCESTORS.send(parent_id=parent_id) if parent_id else []
        for task_id, state, failed, tolerated in rows:
            if state in _FINAL:
                raise InvalidTransition(
                    f"The task {task_id}, above this one, is {state}: this one can't be retried."
                )
            is_judged = state == TaskState.FAILED and not (whole and task_id == parent_id)
            if is_judged and tolerated is not None and failed - 1 > tolerated:
                raise InvalidTransition(
                    f"The task {task_id}, above this one, would fail again at once: {failed} of its"
                    " children have failed. Retry that task: it retries them all."
                )
        if run.state == TaskState.FAILED:
            ConductorRun.objects.filter(pk=run_id).update(state=TaskState.RUNNING, finished_at=None)
