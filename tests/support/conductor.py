"""Conductor runs for tests, made as users make them."""

from typing import Any

from governance.access.actors import SYSTEM
from governance.namespaces import registry
from orbit.conductor import create
from orbit.conductor.create import CreatedRun


def run(*tasks: dict[str, Any], namespace: str = "default", name: str = "run") -> CreatedRun:
    """Create a run of ``tasks``, in a namespace that is made if it is missing."""
    registry.ensure([namespace])
    document = {"name": name, "namespace": namespace, "tasks": list(tasks)}
    return create.create(document, actor=SYSTEM)


def leaves(count: int, **members: Any) -> list[dict[str, Any]]:
    """Return ``count`` tasks without children: ``t1``, ``t2``, ..."""
    return [{"name": f"t{number}", **members} for number in range(1, count + 1)]


def parent(fanout: Any, name: str = "P", **members: Any) -> dict[str, Any]:
    """Return a task with ``input.fanout``."""
    return {"name": name, "input": {"fanout": fanout}, **members}
