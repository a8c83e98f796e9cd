"""``/conductor/runs`` and reading ``/conductor/tasks``."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.actors import NamespaceUnknown
from governance.access.roles import Scope
from governance.kernel import ulid
from governance.rest import idempotency, pages, parsing, queries
from governance.rest.fields import Fields, computed, each, field, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import ANYTHING, TEXT, TIME, TRUTH, WHOLE, maybe, one_of, record
from orbit.conductor import create, reading
from orbit.errors import ConductorRunUnknown, TaskUnknown
from orbit.models import ConductorRun, ConductorTask
from orbit.states import TaskState

ROUTE = "conductor.runs"
CREATED = 201
_ULID = queries.Reader(
    ulid.check,
    {
        "type": "string",
        "minLength": ulid.LENGTH,
        "maxLength": ulid.LENGTH,
        "pattern": f"^{ulid.PATTERN}$",
        "description": "a ULID",
    },
)
_STATE = one_of(TaskState)
_RUN_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "state": queries.one_of(TaskState),
}
_TASK_FILTERS: dict[str, queries.Reader] = {
    "parent_id": _ULID,
    "state": queries.one_of(TaskState),
}
_CREATED_RUN = Fields(
    id=TEXT,
    name=TEXT,
    namespace=TEXT,
    state=_STATE,
    tasks=each(Fields(id=TEXT, name=TEXT, state=_STATE), "tasks"),
)
_RUN = Fields(
    "ConductorRunSummary",
    id=field(TEXT, "pk"),
    name=TEXT,
    namespace=TEXT,
    state=_STATE,
    created_by=TEXT,
    created_at=TIME,
    started_at=maybe(TIME),
    finished_at=maybe(TIME),
    cancel_requested_at=maybe(TIME),
)
_RUN_WITH_COUNTS = Fields(
    "ConductorRun",
    **_RUN.fields,
    counts=computed(record(**{str(state): WHOLE for state in TaskState})),
)
_TASK = Fields(
    "ConductorTaskSummary",
    id=field(TEXT, "pk"),
    run_id=TEXT,
    parent_id=maybe(TEXT),
    index=WHOLE,
    namespace=TEXT,
    name=TEXT,
    state=_STATE,
    is_parent=TRUTH,
    priority=WHOLE,
    attempt=WHOLE,
    max_attempts=WHOLE,
    error=maybe(TEXT),
    worker=maybe(TEXT),
    lease_expires_at=maybe(TIME),
    created_at=TIME,
    started_at=maybe(TIME),
    finished_at=maybe(TIME),
)
_TASK_WITH_INPUT = Fields(
    "ConductorTask",
    **_TASK.fields,
    input=field(ANYTHING, reading.input_of),
    output=ANYTHING,
)


class ConductorRunList(Resource):
    @operation(
        summary="List conductor runs",
        query={**_RUN_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(_RUN)},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        runs = reading.runs(self.actor).filter(**queries.filters(self.query, _RUN_FILTERS))
        return pages.respond(request, runs, _RUN.of, query=self.query)

    @operation(
        summary="Create a conductor run",
        scope=Scope.OPERATE,
        body=create.SCHEMA,
        headers={"Idempotency-Key": idempotency.HEADER},
        answers={CREATED: _CREATED_RUN},
        refusals=(
            NamespaceUnknown,
            create.RunInvalid,
            idempotency.KeyInvalid,
            idempotency.KeyReused,
        ),
    )
    def post(self, request: Request) -> Response:
        """Hand in tasks for workers elsewhere.

        A task with `input.fanout` is a parent: it gets that many children. So is a task that others
        name as `parent`, by its place in `tasks`, from 0. The same Idempotency-Key returns the
        first answer.
        """
        body = self.body()

        def start() -> dict[str, Any]:
            return _CREATED_RUN.of(create.create(body, actor=self.actor))

        key = idempotency.key_of(request, route=ROUTE, body=parsing.raw_body(request))
        answer = idempotency.get_or_run(
            key,
            start,
            status=CREATED,
            ensure_visible=lambda stored: self.actor.require_namespace(stored["namespace"]),
        )
        return Response(answer, status=CREATED)


class ConductorRunDetail(Resource):
    @operation(
        summary="Get a conductor run",
        answers={200: _RUN_WITH_COUNTS},
        refusals=(ConductorRunUnknown,),
    )
    def get(self, request: Request, conductor_run_id: str) -> Response:
        """A run with the number of its tasks in each state."""
        run: ConductorRun = reading.find_run(conductor_run_id, actor=self.actor)
        return Response(_RUN_WITH_COUNTS.of(run, counts=reading.counts(run.pk)))


class ConductorTaskList(Resource):
    @operation(
        summary="List the tasks of a conductor run",
        query={**_TASK_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(_TASK)},
        refusals=(ConductorRunUnknown,),
    )
    def get(self, request: Request, conductor_run_id: str) -> Response:
        """Oldest first; the children of one parent in order of `index`.

        With `state`, a page may have few results or none, and a `next`.
        """
        run = reading.find_run(conductor_run_id, actor=self.actor)
        tasks = reading.tasks(self.actor).filter(run=run)
        if "parent_id" in self.query:
            tasks = tasks.filter(parent=self.query["parent_id"])
        state = self.query.get("state")
        return pages.respond(
            request,
            tasks if state is None else tasks.filter(state=state),
            _TASK.of,
            query=self.query,
            key=("index",) if "parent_id" in self.query else ("id",),
            newest_first=False,
            # Of the states, failed alone has an index: fan-out would pay for others.
            scanned=None if state in (None, TaskState.FAILED) else tasks,
        )


class ConductorTaskDetail(Resource):
    @operation(
        summary="Get a conductor task",
        answers={200: _TASK_WITH_INPUT},
        refusals=(TaskUnknown,),
    )
    def get(self, request: Request, conductor_task_id: str) -> Response:
        """A task with its input and output."""
        task: ConductorTask = reading.find_task(conductor_task_id, actor=self.actor)
        return Response(_TASK_WITH_INPUT.of(task))
