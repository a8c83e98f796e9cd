"""What the pages of a run and of a task show."""

from collections.abc import Mapping
from typing import Any

from governance.access.actors import Actor
from governance.kernel import clock
from orbit.conductor import drawing, sentences, tree
from orbit.conductor.tree import Place
from orbit.states import TaskState

OPEN = (TaskState.PENDING, TaskState.RUNNING)
_MOST_DIGITS = 10
#: The class of the box around the sentence, by state.
_VERDICTS = {
    TaskState.SUCCEEDED: "success",
    TaskState.FAILED: "failed",
    TaskState.RUNNING: "running",
}


def of_run(run_id: str, query: Mapping[str, str], *, actor: Actor) -> dict[str, Any]:
    """Return the page of a run. Raises ConductorRunUnknown."""
    page = tree.read_run(run_id, actor=actor, place=_place(query), opened=query.get("open", ""))
    now = clock.now()
    return {
        "page": page,
        "run": page.run,
        "sentence": sentences.run(page),
        "look": _look(page.run.state),
        "bar": drawing.bar(page.counts),
        "took": sentences.took(page.run, now=now),
        "roots": drawing.siblings(page.roots),
        "children": drawing.siblings(page.children) if page.children else None,
        "failed": drawing.failed(page.failed),
        "held": [(row, row.lease_expires_at <= now) for row in page.held if row.lease_expires_at],
        "is_open": page.run.state in OPEN,
    }


def of_task(task_id: str, query: Mapping[str, str], *, actor: Actor) -> dict[str, Any]:
    """Return the page of a task. Raises TaskUnknown."""
    page = tree.read_task(task_id, actor=actor, place=_place(query))
    now, task = clock.now(), page.node.task
    return {
        "page": page,
        "task": task,
        "sentence": sentences.task(page, now=now),
        "look": _look(task.state),
        "bar": drawing.bar(page.node.counts) if page.node.counts else None,
        "took": sentences.took(task, now=now),
        "lease_is_over": task.lease_expires_at is not None and task.lease_expires_at <= now,
        "policy": sentences.policy(page.node.parent) if page.node.parent else "",
        "children": drawing.siblings(page.children) if page.children else None,
        "failed": drawing.failed(page.failed) if page.failed else None,
        "is_open": task.state in OPEN or task.ready,
    }


def _place(query: Mapping[str, str]) -> Place:
    text = query.get("at", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return Place(int(text) if is_number else 1, query.get("failed_after", ""))


def _look(state: str) -> str:
    return _VERDICTS.get(TaskState(state), "")
