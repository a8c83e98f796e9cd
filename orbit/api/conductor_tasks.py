"""``/conductor/tasks``: claim, work on tasks under a lease, retry, cancel."""

import json
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.kernel import schemas, ulid
from governance.rest import held, parsing
from governance.rest.fields import Fields, each, field, optional
from governance.rest.resources import Resource, operation
from governance.rest.schemas import ANYTHING, TEXT, TIME, TRUTH, WHOLE, one_of
from governance.rest.schemas import UUID as ID
from orbit.conductor import fenced, leases, work
from orbit.conductor.fenced import Held
from orbit.errors import ConductorRunUnknown, InvalidTransition, LeaseLost, TaskUnknown
from orbit.states import TaskState

_SECONDS = {"type": "integer", "minimum": 1, "maximum": leases.MAX_LEASE_SECONDS}
_ULID = {
    "type": "string",
    "pattern": "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$",
    "maxLength": ulid.LENGTH,
    "description": "a ULID",
}
_TOKEN = {"lease_token": parsing.UUID}
_REASON = parsing.closed_object({"reason": parsing.OPTIONAL_REASON})
_REFUSALS = (TaskUnknown, LeaseLost, InvalidTransition)
_CLAIMED = Fields(
    "ClaimedTask",
    id=TEXT,
    run_id=TEXT,
    name=TEXT,
    namespace=TEXT,
    priority=WHOLE,
    attempt=WHOLE,
    input=field(ANYTHING, lambda task: json.loads(task.input)),
    lease_token=ID,
    lease_expires_at=TIME,
)
_STATE = one_of(TaskState)
_WRITTEN = Fields("WorkedTask", id=TEXT, state=_STATE)
_TASK = Fields(id=field(TEXT, "pk"), state=_STATE)
_RENEWED = Fields(id=TEXT, state=_STATE, lease_expires_at=TIME)
_RESULT = Fields(
    "TaskResult",
    id=TEXT,
    state=optional(field(_STATE, "state")),
    lease_expires_at=optional(field(TIME, "lease_expires_at")),
    code=optional(field(TEXT, lambda result: result.error and result.error.code)),
    detail=optional(field(TEXT, lambda result: result.error and str(result.error))),
    ended_by_this_token=optional(
        field(TRUTH, lambda result: result.error and result.error.extra.get("ended_by_this_token"))
    ),
)
_RESULTS = Fields(results=each(_RESULT, lambda results: results))


def _batch(**members: Any) -> dict[str, Any]:
    item = parsing.closed_object({"id": _ULID, **_TOKEN, **members}, required=("id", "lease_token"))
    return {"type": "array", "items": item, "minItems": 1, "maxItems": fenced.MAX_BATCH}


class ConductorTaskClaim(Resource):
    @operation(
        summary="Claim tasks",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {
                "worker": parsing.NAME,
                "limit": {"type": "integer", "minimum": 1, "maximum": leases.MAX_LIMIT},
                "lease_seconds": _SECONDS,
                "wait_seconds": {"type": "number", "minimum": 0, "maximum": held.LONGEST_SECONDS},
                "run_id": _ULID,
            },
            required=("worker",),
        ),
        answers={200: Fields(tasks=each(_CLAIMED, "tasks"))},
        refusals=(ConductorRunUnknown,),
    )
    def post(self, request: Request) -> Response:
        """Take tasks that are ready, those of higher priority first, for `lease_seconds` (30).

        Each has a new `lease_token`, which its heartbeat, complete, fail and release name. A task
        whose lease ends without them is given to the next claim. With `wait_seconds`, a claim that
        finds nothing waits for tasks. If Orbit sees that the client has gone before it has its
        answer, the tasks are given back at once.
        """
        body = self.body()
        if schemas.unseen(body["worker"]):
            raise parsing.invalid("/worker", "Control and invisible characters are refused.")
        run_id = body.get("run_id")
        claimed = leases.claim(
            self.actor,
            body["worker"],
            body.get("limit", 1),
            body.get("lease_seconds", leases.LEASE_SECONDS),
            None if run_id is None else ulid.check(run_id),
        )
        answer = Response({"tasks": [_CLAIMED.of(task) for task in claimed]})
        if claimed:
            given = [Held(task.id, task.lease_token) for task in claimed]
            held.undo_if_unsent(request, partial(fenced.give_back, given, actor=self.actor))
        if claimed or not body.get("wait_seconds"):
            return answer
        namespaces = self.actor.namespaces
        queue = json.dumps([run_id, None if namespaces is None else sorted(namespaces)])
        return held.hold(answer, seconds=body["wait_seconds"], queue=queue)


class ConductorTaskHeartbeat(Resource):
    @operation(
        summary="Renew the lease of a task",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {**_TOKEN, "lease_seconds": _SECONDS}, required=("lease_token",)
        ),
        answers={200: _RENEWED},
        refusals=_REFUSALS,
    )
    def post(self, request: Request, conductor_task_id: str) -> Response:
        """Without `lease_seconds`, for as long as it was claimed for."""
        lease, body = _held(self, conductor_task_id)
        (written,) = fenced.heartbeat(
            [lease], actor=self.actor, lease_seconds=body.get("lease_seconds")
        )
        return Response(_RENEWED.of(fenced.only([written])))


class ConductorTaskComplete(Resource):
    @operation(
        summary="Complete a task",
        scope=Scope.OPERATE,
        body=parsing.closed_object({**_TOKEN, "output": ANYTHING}, required=("lease_token",)),
        answers={200: _WRITTEN},
        refusals=_REFUSALS,
    )
    def post(self, request: Request, conductor_task_id: str) -> Response:
        """End it as SUCCEEDED, with any JSON as its output."""
        lease, body = _held(self, conductor_task_id)
        written = fenced.complete([lease], [body.get("output")], actor=self.actor)
        return Response(_WRITTEN.of(fenced.only(written)))


class ConductorTaskFail(Resource):
    @operation(
        summary="Fail a task",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {**_TOKEN, "error": {"type": "string"}}, required=("lease_token", "error")
        ),
        answers={200: _WRITTEN},
        refusals=_REFUSALS,
    )
    def post(self, request: Request, conductor_task_id: str) -> Response:
        """End the attempt as FAILED; with attempts left, the task can be claimed again."""
        lease, body = _held(self, conductor_task_id)
        written = fenced.fail([lease], error=body["error"], actor=self.actor)
        return Response(_WRITTEN.of(fenced.only(written)))


class ConductorTaskRelease(Resource):
    @operation(
        summary="Give a task back",
        scope=Scope.OPERATE,
        body=parsing.closed_object(_TOKEN, required=("lease_token",)),
        answers={200: _WRITTEN},
        refusals=_REFUSALS,
    )
    def post(self, request: Request, conductor_task_id: str) -> Response:
        """It stays RUNNING, and the next claim may take it."""
        lease, _ = _held(self, conductor_task_id)
        return Response(_WRITTEN.of(fenced.only(fenced.release([lease], actor=self.actor))))


class ConductorTaskRetry(Resource):
    @operation(
        summary="Retry a failed task",
        scope=Scope.OPERATE,
        body=_REASON,
        answers={200: _TASK},
        refusals=(TaskUnknown, InvalidTransition),
    )
    def post(self, request: Request, conductor_task_id: str) -> Response:
        """The next claim may take it; of a parent, the tasks that failed under it."""
        reason = self.body().get("reason") or ""
        task = work.retry(conductor_task_id, actor=self.actor, reason=reason)
        return Response(_TASK.of(task))


class ConductorTaskCancel(Resource):
    @operation(
        summary="Cancel a task",
        scope=Scope.OPERATE,
        body=_REASON,
        answers={200: _TASK},
        refusals=(TaskUnknown, InvalidTransition),
    )
    def post(self, request: Request, conductor_task_id: str) -> Response:
        """At once; the open tasks under it follow. Its worker's next call is refused."""
        reason = self.body().get("reason") or ""
        task = work.cancel(conductor_task_id, actor=self.actor, reason=reason)
        return Response(_TASK.of(task))


class ConductorTaskBatchComplete(Resource):
    @operation(
        summary="Complete many tasks",
        scope=Scope.OPERATE,
        body=parsing.closed_object({"tasks": _batch(output=ANYTHING)}, required=("tasks",)),
        answers={200: _RESULTS},
    )
    def post(self, request: Request) -> Response:
        """One result for each, in their order; those that are refused have a `code`."""
        body = self.body()
        given, outputs = _tasks(body), [task.get("output") for task in body["tasks"]]
        return Response(_RESULTS.of(fenced.complete(given, outputs, actor=self.actor)))


class ConductorTaskBatchHeartbeat(Resource):
    @operation(
        summary="Renew the leases of many tasks",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {"tasks": _batch(), "lease_seconds": _SECONDS}, required=("tasks",)
        ),
        answers={200: _RESULTS},
    )
    def post(self, request: Request) -> Response:
        """One result for each, in their order; those that are refused have a `code`."""
        body = self.body()
        results = fenced.heartbeat(
            _tasks(body), actor=self.actor, lease_seconds=body.get("lease_seconds")
        )
        return Response(_RESULTS.of(results))


def _tasks(body: dict[str, Any]) -> list[Held]:
    """Return the tasks of a batch. Raises BodyInvalid if it names one twice."""
    given = [Held(task["id"].upper(), UUID(task["lease_token"])) for task in body["tasks"]]
    seen: set[str] = set()
    for place, lease in enumerate(given):
        if lease.task_id in seen:
            raise parsing.invalid(f"/tasks/{place}/id", "This task is named twice.")
        seen.add(lease.task_id)
    return given


def _held(resource: Resource, task_id: str) -> tuple[Held, dict[str, Any]]:
    """Return the task and token of a call, and its body. Raises TaskUnknown, BodyInvalid."""
    try:
        checked = ulid.check(task_id)
    except ValueError:
        raise TaskUnknown(f"There is no task {task_id[:40]!r}.") from None
    body = resource.body()
    return Held(checked, UUID(body["lease_token"])), body
