"""A run from its creation to its end, step by step: ``manage.py conductor demo``."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from governance.access.actors import Actor
from governance.kernel.errors import Kind, OrbitError
from orbit.conductor import aggregate, create, fanout, fenced, leases, reading
from orbit.conductor.fenced import Held
from orbit.models import ConductorTask
from orbit.states import TaskState

CHILDREN = 3
PARENT = "DEMO_FANOUT_PARENT"
_WORKER = "conductor demo"
_PATIENCE_SECONDS = 30.0
_ENDED = {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}


class DemoStuck(OrbitError):
    """The demo's run doesn't go on."""

    code, kind = "demo_stuck", Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, and the run after it. ``tasks`` maps names to states."""

    title: str
    run_id: str
    run_state: str
    tasks: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "step": self.title,
            "run": {"id": self.run_id, "state": self.run_state},
            "tasks": [{"name": name, "state": state} for name, state in self.tasks.items()],
        }


def steps(*, actor: Actor) -> Iterator[Step]:
    """Run the demo and yield each step. Raises DemoStuck.

    A cluster at work may do a step of ours before we do; the outcome is the same.
    """
    task = {"name": PARENT, "input": {"fanout": CHILDREN}}
    run_id = create.create({"name": "conductor demo", "tasks": [task]}, actor=actor).id
    yield _step("Create a run with a parent", run_id, actor)
    for _ in _until(lambda: _children(run_id) == CHILDREN, run_id):
        fanout.run_fanout_once()
    yield _step(f"Fan out into {CHILDREN} children", run_id, actor)
    for _ in _until(lambda: not _open_children(run_id), run_id):
        _complete(run_id, actor)
    yield _step("Claim and complete the children", run_id, actor)
    for _ in _until(lambda: reading.find_run(run_id, actor=actor).state in _ENDED, run_id):
        aggregate.run_aggregate_once()
    yield _step("Aggregate: the parent ends, then the run", run_id, actor)


def _until(is_done: Callable[[], bool], run_id: str) -> Iterator[None]:
    patience = time.monotonic() + _PATIENCE_SECONDS
    while not is_done():
        if time.monotonic() > patience:
            raise DemoStuck(
                f"The demo's run {run_id} doesn't go on. Is its namespace halted or everything"
                " paused? Read it with GET /conductor/runs/ID, then cancel it."
            )
        yield
        if not is_done():
            time.sleep(0.1)


def _complete(run_id: str, actor: Actor) -> None:
    for claimed in leases.claim(actor, _WORKER, limit=CHILDREN, run_id=run_id):
        held = Held(claimed.id, claimed.lease_token)
        fenced.complete([held], [{"by": _WORKER}], actor=actor)


def _children(run_id: str) -> int:
    return ConductorTask.objects.filter(run=run_id, parent__isnull=False).count()


def _open_children(run_id: str) -> bool:
    children = ConductorTask.objects.filter(run=run_id, parent__isnull=False)
    return children.exclude(state__in=_ENDED).exists()


def _step(title: str, run_id: str, actor: Actor) -> Step:
    run = reading.find_run(run_id, actor=actor)
    # The parent's name is the beginning of its children's.
    tasks = ConductorTask.objects.filter(run=run_id).order_by("name")
    return Step(title, run_id, run.state, dict(tasks.values_list("name", "state")))
