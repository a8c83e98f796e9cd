"""Create conductor runs: a run and its tasks in one transaction, with one audit entry."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance import audit
from governance.access.actors import Actor, NamespaceUnknown
from governance.access.roles import Scope
from governance.audit.actions import Action
from governance.kernel import schemas, sql, ulid
from governance.kernel.errors import Kind, OrbitError
from governance.models import Namespace
from governance.namespaces import registry
from orbit.conductor import inputs
from orbit.states import FailurePolicy, TaskState

_INSERT = sql.load(__name__, "insert_run")

MOST_TASKS = 1_000
DEFAULT_NAMESPACE = "default"
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_TOLERATED = {"type": "integer", "minimum": 0, "maximum": inputs.MOST_CHILDREN}
#: The members of a run's body.
MEMBERS: dict[str, Any] = {
    "name": _NAME,
    "namespace": {"type": "string", "minLength": 1, "maxLength": 100},
    "tasks": {
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_TASKS,
        "items": {
            "type": "object",
            "properties": {
                "name": _NAME,
                "input": {"type": "object"},
                "priority": {"type": "integer", "minimum": _SMALLEST, "maximum": _LARGEST},
                "max_attempts": {"type": "integer", "minimum": 1, "maximum": 100},
                "parent": {"type": ["integer", "null"], "minimum": 0},
                # `wait_all`, `fail_fast`, `tolerate: 2` or {"tolerate": 2}; read by `_policy`.
                "failure_policy": {"type": ["string", "object"]},
                "tolerate": _TOLERATED,
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": MEMBERS,
    "required": ["name", "tasks"],
    "additionalProperties": False,
}


class RunInvalid(OrbitError):
    """This run can't be created."""

    code, kind = "invalid_body", Kind.INVALID


@dataclass(frozen=True, slots=True)
class CreatedTask:
    """A task as it was created."""

    id: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class CreatedRun:
    """A run as it was created; its tasks are in the order of the body."""

    id: str
    name: str
    namespace: str
    state: str
    tasks: list[CreatedTask]


def create(document: Mapping[str, Any], *, actor: Actor) -> CreatedRun:
    """Create the run that ``document`` describes; its shape is ``SCHEMA``.

    Raises NotAllowed, NamespaceUnknown and RunInvalid.
    """
    actor.require(Scope.OPERATE)
    given = _checked(document)
    namespace = document.get("namespace", DEFAULT_NAMESPACE)
    actor.require_namespace(namespace)
    # Before the transaction, which holds locks.
    rows = _rows(given)
    tasks = json.dumps(rows, ensure_ascii=False)
    run_id = ulid.make()
    with audit.transaction():
        if namespace == DEFAULT_NAMESPACE:
            registry.ensure([namespace])
        elif not Namespace.objects.filter(name=namespace).exists():
            raise NamespaceUnknown(f"There is no namespace {namespace!r}.")
        _INSERT.execute(
            id=run_id,
            name=document["name"],
            namespace=namespace,
            created_by=actor.name,
            roots=sum(row["parent_id"] is None for row in rows),
            tasks=tasks,
        )
        audit.record(
            Action.CONDUCTOR_RUN_CREATED,
            actor=actor.name,
            object_id=run_id,
            namespace=namespace,
            after={"name": document["name"], "tasks": len(rows)},
        )
    return CreatedRun(
        run_id,
        document["name"],
        namespace,
        TaskState.PENDING,
        [CreatedTask(row["id"], row["name"], TaskState.PENDING) for row in rows],
    )


def _rows(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    children = Counter(task["parent"] for task in given if task.get("parent") is not None)
    ids = [ulid.make() for _ in given]
    numbers: Counter[int | None] = Counter()
    rows = []
    for place, task in enumerate(given):
        parent = task.get("parent")
        numbers[parent] += 1
        task_input = task.get("input", {})
        policy, tolerated = _policy(task)
        rows.append(
            {
                "id": ids[place],
                "parent_id": None if parent is None else ids[parent],
                "index": numbers[parent],
                "name": task["name"],
                "is_parent": place in children or inputs.is_parent(task_input),
                "priority": task.get("priority", 0),
                "max_attempts": task.get("max_attempts", 1),
                "input": task_input,
                "failure_policy": policy,
                "tolerated": tolerated,
                "fanout": children[place] or inputs.fanout(task_input),
                "children": children[place],
            }
        )
    return rows


def _checked(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks. Raises RunInvalid, with a pointer to each error."""
    errors = schemas.problems(SCHEMA, document)
    tasks = [] if errors else [_with_integers(task) for task in document["tasks"]]
    if not errors:
        errors = [
            {"pointer": f"/tasks/{place}{pointer}", "detail": detail}
            for place, task in enumerate(tasks)
            for pointer, detail in _problems(task, tasks, place)
        ]
        if schemas.unseen(document["name"]):
            errors.append({"pointer": "/name", "detail": _UNSEEN})
    if errors:
        many = "s" if len(errors) > 1 else ""
        raise RunInvalid(f"The body has {len(errors)} error{many}.", errors=errors[:100])
    return tasks


def _with_integers(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task with 2 for 2.0, which JSON Schema allows as an integer."""
    numbers = {name: task[name] for name in _INTEGERS if isinstance(task.get(name), float)}
    return {**task, **{name: int(number) for name, number in numbers.items()}}


_INTEGERS = ("parent", "priority", "max_attempts", "tolerate")
_UNSEEN = "Control and invisible characters are refused."


def _problems(
    task: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], place: int
) -> list[tuple[str, str]]:
    """Return pointer and text of each error that the schema doesn't see."""
    errors = []
    if "#" in task["name"]:
        errors.append(("/name", "`#` is for the children that a fan-out makes."))
    if schemas.unseen(task["name"]):
        errors.append(("/name", _UNSEEN))
    parent = task.get("parent")
    if parent is not None and parent >= len(tasks):
        errors.append(("/parent", f"There is no task {parent}: there are {len(tasks)}, from 0."))
    elif parent is not None and _in_circle(tasks, place):
        errors.append(("/parent", "The parents form a circle."))
    if parent is not None and parent < len(tasks) and inputs.is_parent(tasks[parent].get("input")):
        errors.append(
            ("/parent", "That task has `input.fanout`, so its children are made by fan-out.")
        )
    level, pointer = task.get("input"), "/input"
    while isinstance(level, Mapping) and inputs.FANOUT in level:
        if level[inputs.FANOUT] == 0 and not isinstance(level[inputs.FANOUT], bool):
            errors.append((f"{pointer}/fanout", "A parent has at least one child."))
        level, pointer = level.get(inputs.CHILD), f"{pointer}/child"
    try:
        _policy(task)
    except ValueError as error:
        errors.append(("/failure_policy", str(error)))
    return errors


def _in_circle(tasks: Sequence[Mapping[str, Any]], place: int) -> bool:
    """Return whether the task is its own ancestor."""
    at: int | None = tasks[place].get("parent")
    for _ in tasks:
        if at is None or at >= len(tasks) or at == place:
            break
        at = tasks[at].get("parent")
    return at == place


def _policy(task: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return the policy and how many failures it tolerates. Raises ValueError."""
    given: Any = task.get("failure_policy", "wait_all")
    tolerated = task.get("tolerate")
    if isinstance(given, Mapping) and given.keys() == {"tolerate"} and tolerated is None:
        given, tolerated = "tolerate", given["tolerate"]
    elif isinstance(given, str) and given.startswith("tolerate:") and tolerated is None:
        text = given.removeprefix("tolerate:").strip()
        digits = text if text.isascii() and text.isdigit() and len(text) <= 8 else ""
        given, tolerated = "tolerate", int(digits) if digits else None
    if given not in [str(policy) for policy in FailurePolicy]:
        raise ValueError('Must be "wait_all", "fail_fast" or {"tolerate": 2}.')
    if given != FailurePolicy.TOLERATE:
        if tolerated is not None:
            raise ValueError("`tolerate` needs the failure policy `tolerate`.")
        return str(given), None
    if isinstance(tolerated, float) and tolerated.is_integer():
        tolerated = int(tolerated)
    if type(tolerated) is not int:  # a boolean is an int too
        raise ValueError('Say how many failures are tolerated: {"tolerate": 2}.')
    if not 0 <= tolerated <= inputs.MOST_CHILDREN:
        raise ValueError(f"Tolerate 0 to {inputs.MOST_CHILDREN:,} failures.")
    return str(given), tolerated
