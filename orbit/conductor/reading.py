"""Read conductor runs and their tasks."""

from typing import Any

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.kernel import sql, ulid
from orbit.conductor import inputs
from orbit.errors import ConductorRunUnknown, TaskUnknown
from orbit.models import ConductorRun, ConductorTask
from orbit.records import pruned
from orbit.states import TaskState

_COUNTS = sql.load(__name__, "counts_of_run")
_COUNTED = (
    TaskState.PENDING,
    TaskState.RUNNING,
    TaskState.SUCCEEDED,
    TaskState.FAILED,
    TaskState.CANCELLED,
)


def runs(actor: Actor) -> "QuerySet[ConductorRun]":
    """Return the runs that ``actor`` sees."""
    return ConductorRun.objects.filter(actor.filter())


def find_run(run_id: str, *, actor: Actor) -> ConductorRun:
    """Return a run. Raises ConductorRunUnknown."""
    try:
        return runs(actor).get(pk=ulid.check(run_id))
    except ValueError:
        raise ConductorRunUnknown from None
    except ConductorRun.DoesNotExist:
        raise ConductorRunUnknown(pruned.unknown("conductor run", run_id)) from None


def counts(run_id: str) -> dict[str, int]:
    """Return how many tasks of a run are in each state, exact at this moment."""
    row = _COUNTS.one(run=run_id)
    return {str(state): int(n) for state, n in zip(_COUNTED, row or (0,) * 5, strict=True)}


def tasks(actor: Actor) -> "QuerySet[ConductorTask]":
    """Return the tasks that ``actor`` sees, without the large columns."""
    return ConductorTask.objects.filter(actor.filter()).defer("input", "output")


def find_task(task_id: str, *, actor: Actor) -> ConductorTask:
    """Return a task with its parent. Raises TaskUnknown."""
    visible = ConductorTask.objects.filter(actor.filter()).select_related("parent")
    try:
        return visible.get(pk=ulid.check(task_id))
    except ValueError:
        raise TaskUnknown from None
    except ConductorTask.DoesNotExist:
        raise TaskUnknown(pruned.unknown("task", task_id)) from None


def input_of(task: ConductorTask) -> Any:
    """Return the task's input; that of a child made by fan-out comes from its parent's."""
    if task.input is None and task.parent is not None:
        return inputs.of_child(task.parent.input, task.index)
    return task.input
