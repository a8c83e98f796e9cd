"""Read runs and tasks for the console: a bounded part of the tree, what failed before the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import CharField, Max
from django.db.models.functions import Substr

from governance.access.actors import Actor
from governance.kernel import sql
from governance.namespaces import gate
from orbit.conductor import counts, grid, reading
from orbit.conductor.counts import Counts
from orbit.conductor.grid import Grid
from orbit.errors import ConductorRunUnknown, TaskUnknown
from orbit.models import ConductorParent, ConductorRun, ConductorTask
from orbit.records import pruned
from orbit.states import CONDUCTOR_RUN, TASK, TaskState

if TYPE_CHECKING:
    from django.db.models import QuerySet

HELD_TASKS = sql.load(__name__, "held_tasks")
NEWEST_TASKS = sql.load(__name__, "newest_tasks")
#: Rows of a table on a page.
LISTED = 50
#: What failed and what workers hold stands above the tree: at first only so many rows.
LISTED_FIRST = 10
#: So few tasks are clear by their names: they get no squares.
NO_SQUARES = LISTED // 2
#: Of so many leases, those of a run are shown.
LEASES_LOOKED_AT = 10_000
#: A list of tasks by namespace has the newest tasks of so many runs.
NEWEST_RUNS = 50
_ERROR_CHARACTERS = 300
_LAST_INDEX = 2**31 - 1
_MOST_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: tasks with the same parent by index, failed ones by their key."""

    at: int = 1
    failed_after: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A task in a table; ``parent`` and ``counts`` of one with children."""

    task: ConductorTask
    parent: ConductorParent | None
    counts: Counts | None


@dataclass(frozen=True, slots=True)
class Siblings:
    """The children of a task, or a run's roots: a page of them, by squares and by name."""

    grid: Grid
    nodes: Sequence[Node]

    @property
    def before(self) -> int | None:
        """Where the page of the table before this one begins."""
        first = self.nodes[0].task.index if self.nodes else 1
        return max(1, first - LISTED) if first > 1 else None

    @property
    def after(self) -> int | None:
        """Where the next page of the table begins."""
        last = self.nodes[-1].task.index if self.nodes else self.grid.highest
        return last + 1 if last < self.grid.highest else None


@dataclass(frozen=True, slots=True)
class Failed:
    """Failed tasks; ``after`` is where the next page begins, if there is one."""

    tasks: Sequence[ConductorTask]
    after: str = ""


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run with its roots, what failed and what workers hold."""

    run: ConductorRun
    counts: Counts
    roots: Siblings
    failed: Failed
    held: Sequence[ConductorTask]
    #: Why no task is handed out; empty if nothing stops it.
    stopped: str
    #: A root whose children are shown too.
    opened: Node | None
    children: Siblings | None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A task with its children, if it has any."""

    node: Node
    #: Of a child made by fan-out it comes from its parent's.
    input: Any
    children: Siblings | None
    failed: Failed | None
    stopped: str


def read_run(run_id: str, *, actor: Actor, place: Place, opened: str = "") -> RunPage:
    """Return a run that ``actor`` sees. Raises ConductorRunUnknown."""
    run = ConductorRun.objects.filter(actor.filter(), pk=run_id).first()
    if run is None:
        raise ConductorRunUnknown(pruned.unknown("conductor run", run_id[:40]))
    tasks = ConductorTask.objects.filter(run_id=run_id)
    roots = _siblings(run_id, None, place.at)
    node = _to_open(roots.nodes, opened)
    return RunPage(
        run=run,
        counts=counts.of_runs([(run_id, run)])[run_id],
        roots=roots,
        failed=_failed(tasks, "id", place.failed_after),
        held=_held(run),
        stopped="" if TaskState(run.state) in CONDUCTOR_RUN.final else _stopped(run.namespace),
        opened=node,
        children=_siblings(run_id, node.task.pk, 1) if node else None,
    )


def read_task(task_id: str, *, actor: Actor, place: Place) -> TaskPage:
    """Return a task that ``actor`` sees. Raises TaskUnknown."""
    visible = ConductorTask.objects.select_related("run", "parent").filter(actor.filter())
    task = visible.filter(pk=task_id).first()
    if task is None:
        raise TaskUnknown(pruned.unknown("task", task_id[:40]))
    (node,) = _nodes(task.run_id, [task])
    children = failed = None
    if task.is_parent:
        children = _siblings(task.run_id, task.pk, place.at)
        failed = _failed(
            ConductorTask.objects.filter(parent_id=task_id), "index", place.failed_after
        )
    is_over = TaskState(task.state) in TASK.final
    stopped = "" if is_over else _stopped(task.namespace)
    return TaskPage(node, reading.input_of(task), children, failed, stopped)


def newest_tasks(namespaces: Iterable[str]) -> list[str]:
    """Return the ids of the newest tasks of the newest runs of some namespaces."""
    rows = NEWEST_TASKS.rows(namespaces=sorted(namespaces), runs=NEWEST_RUNS, tasks=LISTED)
    return [task_id for (task_id,) in rows]


def _to_open(nodes: Sequence[Node], opened: str) -> Node | None:
    """Return the root whose children the run's page shows: the named one, or the first parent."""
    parents = [node for node in nodes if node.parent is not None]
    named = next((node for node in parents if node.task.pk == opened), None)
    return named or next(iter(parents), None)


def _siblings(run_id: str, parent_id: str | None, at: int) -> Siblings:
    tasks = ConductorTask.objects.filter(run_id=run_id, parent_id=parent_id)
    if parent_id is not None:
        tasks = ConductorTask.objects.filter(parent_id=parent_id)
    highest = tasks.aggregate(last=Max("index"))["last"] or 0
    at = min(max(at, 1), max(highest, 1))
    if highest <= NO_SQUARES:
        page = Grid(1, 1, highest, highest, [])
    elif parent_id is None:
        page = grid.of_roots(run_id, highest=highest, at=at)
    else:
        page = grid.of_children(parent_id, highest=highest, at=at)
    listed = _narrow(tasks.filter(index__gte=at).order_by("index"))[:LISTED]
    return Siblings(page, _nodes(run_id, listed))


def _narrow(tasks: "QuerySet[ConductorTask]") -> "QuerySet[ConductorTask]":
    """Leave out what is large: input, output and all but the start of the error."""
    return tasks.annotate(
        error_start=Substr("error", 1, _ERROR_CHARACTERS, output_field=CharField())
    ).defer("input", "output", "error")


def _nodes(run_id: str, tasks: Iterable[ConductorTask]) -> list[Node]:
    rows = list(tasks)
    ids = [task.pk for task in rows if task.is_parent]
    parents = {row.pk: row for row in ConductorParent.objects.filter(pk__in=ids)} if ids else {}
    exact = counts.of_parents(run_id, parents.items())
    return [Node(task, parents.get(task.pk), exact.get(task.pk)) for task in rows]


def _failed(tasks: "QuerySet[ConductorTask]", key: str, after: str) -> Failed:
    rows = tasks.filter(state=TaskState.FAILED)
    if after:
        rows = rows.filter(**{f"{key}__gt": _key(key, after)})
    most = LISTED if after else LISTED_FIRST
    failed = list(_narrow(rows).order_by(key)[: most + 1])
    page = failed[:most]
    return Failed(page, str(getattr(page[-1], key)) if len(failed) > most else "")


def _key(key: str, text: str) -> Any:
    if key == "id":
        return text
    # More digits are beyond the last index; Python refuses to read thousands of them.
    return min(int(text[:_MOST_DIGITS]), _LAST_INDEX) if text.isascii() and text.isdigit() else 0


def _held(run: ConductorRun) -> list[ConductorTask]:
    if TaskState(run.state) in CONDUCTOR_RUN.final:
        return []
    held = HELD_TASKS.rows(run=run.pk, looked_at=LEASES_LOOKED_AT, limit=LISTED_FIRST)
    ids = [row[0] for row in held]
    if not ids:
        return []
    return list(_narrow(ConductorTask.objects.filter(pk__in=ids)).order_by("lease_expires_at"))


def _stopped(namespace: str) -> str:
    refusal = gate.refusals([namespace]).get(namespace)
    return "" if refusal is None else refusal.detail
