"""Rows of conductor runs and tasks, for tests of what works on them."""

import itertools
import time
from typing import Any

from governance.namespaces import registry
from orbit.models import ConductorParent, ConductorRun, ConductorTask

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_numbers = itertools.count(1)


def next_id() -> str:
    """Return a ULID after all that this process has made."""
    value = (int(time.time() * 1000) << 80) + (next(_numbers) << 20)
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(26)))


def create_run(namespace: str = "default", *, roots: int = 1, **fields: Any) -> ConductorRun:
    """Create a run whose tasks the caller creates."""
    registry.ensure([namespace])
    values = {"state": "PENDING", "created_by": "tests", "open_roots": roots, **fields}
    return ConductorRun.objects.create(id=next_id(), name="run", namespace=namespace, **values)


def create_tasks(run: ConductorRun, count: int = 1, **fields: Any) -> list[ConductorTask]:
    """Create tasks of ``run`` that are ready, in the order of their ids."""
    parent = fields.get("parent")
    after = ConductorTask.objects.filter(run=run, parent=parent).count()
    return ConductorTask.objects.bulk_create(
        ConductorTask(
            **{
                "id": next_id(),
                "run": run,
                "index": after + number,
                "namespace": run.namespace,
                "name": f"t{after + number}",
                "state": "PENDING",
                "ready": True,
                "input": {} if parent is None else None,
                **fields,
            }
        )
        for number in range(1, count + 1)
    )


def create_parent(
    run: ConductorRun, children: int, *, parent: ConductorTask | None = None, **fields: Any
) -> ConductorTask:
    """Create a running parent that has been fanned out."""
    values = {"input": {"fanout": children}, "state": "RUNNING", "ready": False, **fields}
    (task,) = create_tasks(run, is_parent=True, parent=parent, **values)
    ConductorParent.objects.create(
        task=task,
        namespace=run.namespace,
        failure_policy="wait_all",
        fanout=children,
        fanned_out=children,
        is_fanned_out=True,
        pending=children,
    )
    return task
