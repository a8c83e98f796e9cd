"""Writes of a worker: they count only while it holds the lease of the task."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import sql
from governance.kernel.errors import OrbitError
from orbit.conductor.task_events import EVENTS
from orbit.errors import InvalidTransition, LeaseLost, TaskUnknown
from orbit.states import TaskState

_PARTS = {
    "given": sql.fragment(__name__, "given"),
    "locked": sql.fragment(__name__, "locked_tasks"),
    "held": sql.fragment(__name__, "held"),
}
HEARTBEAT = sql.load(__name__, "heartbeat", **_PARTS)
COMPLETE = sql.load(__name__, "complete", events=EVENTS, **_PARTS)
FAIL = sql.load(__name__, "fail", events=EVENTS, **_PARTS)
RELEASE = sql.load(__name__, "release", **_PARTS)

#: Tasks in one call.
MAX_BATCH = 1_000
#: What is kept of an error, in characters.
MAX_ERROR = 20_000


@dataclass(frozen=True, slots=True)
class Held:
    """A task and the token of its lease."""

    task_id: str
    lease_token: UUID


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one task of a call. ``error``: nothing was written to it, and why."""

    id: str
    state: str | None = None
    lease_expires_at: datetime | None = None
    error: OrbitError | None = None


def heartbeat(
    tasks: Collection[Held], *, actor: Actor, lease_seconds: int | None = None
) -> list[Written]:
    """Renew leases, for ``lease_seconds`` or as long as they were claimed for."""
    return _write(HEARTBEAT, tasks, actor, lease_seconds=lease_seconds)


def complete(tasks: Collection[Held], outputs: Collection[Any], *, actor: Actor) -> list[Written]:
    """End tasks with their outputs, in one statement; the ids differ."""
    texts = [json.dumps(output) for output in outputs]
    return _write(COMPLETE, tasks, actor, outputs=texts)


def fail(tasks: Collection[Held], *, error: str, actor: Actor) -> list[Written]:
    """Record a failed attempt. With attempts left, the task is ready again."""
    cut = error if len(error) <= MAX_ERROR else f"{error[:MAX_ERROR]}…"
    return _write(FAIL, tasks, actor, error=cut)


def release(tasks: Collection[Held], *, actor: Actor) -> list[Written]:
    """Give tasks back; others can claim them at once."""
    return _write(RELEASE, tasks, actor, undone=0)


def give_back(tasks: Collection[Held], *, actor: Actor) -> list[Written]:
    """Undo claims whose worker never got them; they use up no attempt."""
    return _write(RELEASE, tasks, actor, undone=1)


def only(written: list[Written]) -> Written:
    """Return the one result, or raise its error."""
    (result,) = written
    if result.error is not None:
        raise result.error
    return result


def _write(
    statement: sql.Statement, tasks: Collection[Held], actor: Actor, **values: Any
) -> list[Written]:
    actor.require(Scope.OPERATE)
    rows = statement.send(
        ids=[task.task_id for task in tasks],
        tokens=[task.lease_token for task in tasks],
        namespaces=None if actor.namespaces is None else sorted(actor.namespaces),
        **values,
    )
    return [
        Written(task_id, state, lease_expires_at)
        if is_written
        else Written(task_id, state, error=_refusal(task_id, state, is_parent, is_own))
        for task_id, is_written, state, is_parent, lease_expires_at, is_own in rows
    ]


def _refusal(
    task_id: str, state: str | None, is_parent: bool | None, is_own: bool | None
) -> OrbitError:
    if state is None:
        return TaskUnknown(f"There is no task {task_id}.")
    if is_parent:
        return InvalidTransition(
            f"The task {task_id} has children: it ends with them, no worker holds it."
        )
    if state == TaskState.RUNNING:
        return LeaseLost(
            f"This token doesn't hold the task {task_id}: its lease expired or was released."
            " Drop the work and claim again."
        )
    if is_own:
        # A worker that lost the answer of its first call learns that it did its work.
        return InvalidTransition(
            f"The task {task_id} is {state}: its outcome came with this token.",
            ended_by_this_token=True,
        )
    return InvalidTransition(f"The task {task_id} is {state}: no worker holds it.")
