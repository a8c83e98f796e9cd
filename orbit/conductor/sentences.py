"""Say in one sentence how a run or a task stands, and what it waits for."""

from collections.abc import Sequence
from datetime import datetime

from governance import display
from orbit.conductor.counts import Counts
from orbit.conductor.tree import Node, RunPage, TaskPage
from orbit.models import ConductorParent, ConductorRun, ConductorTask
from orbit.states import FailurePolicy, TaskState

_OPENING = {
    TaskState.PENDING: "Pending",
    TaskState.RUNNING: "Running",
    TaskState.SUCCEEDED: "Succeeded",
    TaskState.FAILED: "Failed",
    TaskState.CANCELLED: "Cancelled",
}
_LONGEST_ERROR = 160


def run(page: RunPage) -> str:
    """Return the sentence about a run."""
    state, counts = TaskState(page.run.state), page.counts
    parts = []
    if page.run.pruning_since is not None:
        since = f"{page.run.pruning_since:%Y-%m-%d %H:%M} UTC"
        parts.append(f"retention deletes it since {since}, and tasks of it are gone")
    if page.run.cancel_requested_at and page.run.finished_at is None:
        parts.append("it is being cancelled, and its open tasks end within seconds")
    if state == TaskState.FAILED:
        parts.append(_roots(page))
    if state == TaskState.SUCCEEDED and counts.failed:
        parts.append(f"all roots did; {_tasks(counts.failed)} failed, which was tolerated")
    parts += _progress(counts)
    parts += _fan_out(page.opened.parent if page.opened else None, page.opened)
    if page.failed.tasks and state in {TaskState.FAILED, TaskState.RUNNING}:
        first = _told(page.failed.tasks)
        error = _short(getattr(first, "error_start", None))
        parts.append(f"{first.name} says: {error}" if error else f"{first.name} failed")
    if page.stopped:
        parts.append(page.stopped.rstrip("."))
    return _joined(state, parts)


def task(page: TaskPage, *, now: datetime) -> str:
    """Return the sentence about a task."""
    row, state = page.node.task, TaskState(page.node.task.state)
    if page.node.parent is not None and page.node.counts is not None:
        parts = [_short(row.error)] if row.error else []
        parts += _progress(page.node.counts, of="children")
        parts += _fan_out(page.node.parent, page.node)
        parts.append(policy(page.node.parent))
    else:
        parts = _leaf(row, state, now)
    if page.stopped:
        parts.append(page.stopped.rstrip("."))
    return _joined(state, [part for part in parts if part])


def policy(parent: ConductorParent) -> str:
    """Say what a parent does when a child fails for good."""
    if parent.failure_policy == FailurePolicy.FAIL_FAST:
        return "the first child that fails ends it"
    if parent.failure_policy == FailurePolicy.TOLERATE:
        return f"up to {parent.tolerated:,} failed children are tolerated"
    return "it waits for all children"


def took(row: ConductorRun | ConductorTask, *, now: datetime) -> str:
    """Say how long a run or a task took."""
    if row.started_at is None:
        return "-"
    if row.finished_at is None:
        return f"{display.duration((now - row.started_at).total_seconds())} so far"
    return display.duration((row.finished_at - row.started_at).total_seconds())


def lease(row: ConductorTask, *, now: datetime) -> str:
    """Say who holds a task; empty if no worker does."""
    if row.lease_expires_at is None:
        return ""
    if row.lease_expires_at <= now:
        return f"the lease of {row.worker} is over, and another worker may take the task"
    return f"{row.worker} holds it"


def _leaf(row: ConductorTask, state: TaskState, now: datetime) -> list[str]:
    tries = f"attempt {row.attempt} of {row.max_attempts}"
    if state == TaskState.PENDING:
        return ["it waits for a worker"]
    if state == TaskState.RUNNING:
        if row.lease_expires_at is None:
            return ["it was released or lost, and waits for another worker", tries]
        return [lease(row, now=now), tries]
    if state == TaskState.FAILED:
        follows = "another attempt follows" if row.ready else ""
        return [_short(row.error) or "no error was given", tries, follows]
    if state == TaskState.SUCCEEDED:
        return [f"by {row.worker}, {tries}" if row.worker else tries]
    return [_short(row.error)] if row.error else []


def _roots(page: RunPage) -> str:
    failed = page.run.failed_roots
    if not failed:
        return "a root failed"
    total = page.roots.grid.highest
    return f"{failed:,} of {total:,} {'root' if total == 1 else 'roots'} failed"


def _progress(counts: Counts, *, of: str = "tasks") -> list[str]:
    if not counts.total:
        return []
    parts = [f"{counts.succeeded:,} of {counts.total:,} {_word(of, counts.total)} succeeded"]
    for number, words in (
        (counts.failed, "failed"),
        (counts.retrying, "failed and will be tried again"),
        (counts.running, "running"),
        (counts.pending, "pending"),
        (counts.cancelled, "cancelled"),
    ):
        if number:
            parts.append(f"{number:,} {words}")
    return [", ".join(parts)]


def _fan_out(parent: ConductorParent | None, node: Node | None) -> list[str]:
    if parent is None or node is None or parent.is_fanned_out:
        return []
    if node.task.state not in {TaskState.PENDING, TaskState.RUNNING} or parent.fanout is None:
        return []
    return [
        f"{parent.fanned_out:,} of {parent.fanout:,} children of {node.task.name} are made so far"
    ]


def _told(tasks: Sequence[ConductorTask]) -> ConductorTask:
    # A parent fails because a child did: the child says why.
    return next((row for row in tasks if not row.is_parent), tasks[0])


def _tasks(number: int) -> str:
    return f"{number:,} {'task' if number == 1 else 'tasks'}"


def _word(plural: str, number: int) -> str:
    return {"tasks": "task", "children": "child"}[plural] if number == 1 else plural


def _joined(state: TaskState, parts: list[str]) -> str:
    return f"{_OPENING[state]}: {'; '.join(parts)}." if parts else f"{_OPENING[state]}."


def _short(text: str | None) -> str:
    line = text.strip().splitlines()[0] if text and text.strip() else ""
    cut = line if len(line) <= _LONGEST_ERROR else line[: _LONGEST_ERROR - 3] + "..."
    return cut.rstrip(".")
