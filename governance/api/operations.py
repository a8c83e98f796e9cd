"""``/operations``: list, read, list items, cancel; ``/operations/periodic``."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.models import OperationRun, OperationRunItem
from governance.operations import cancel, ledger, periodic_listing
from governance.rest import pages, parsing, queries, schemas
from governance.rest.fields import Fields, field, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import FREE, TEXT, TIME, WHOLE, maybe, one_of
from governance.states import Every, ItemOutcome, Operation, Outcome

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text.on("namespace__name"),
    "type": queries.text,
    "status": queries.one_of(Operation),
    "outcome": queries.one_of(Outcome),
}
_ITEM_FILTERS: dict[str, queries.Reader] = {"outcome": queries.one_of(ItemOutcome)}
RUN = Fields(
    "Operation",
    id=schemas.UUID,
    type=TEXT,
    namespace=field(maybe(TEXT), lambda run: run.namespace and run.namespace.name),
    status=one_of(Operation),
    outcome=maybe(one_of(Outcome)),
    summary_counts={"type": "object", "additionalProperties": WHOLE},
    progress=FREE,
    context=FREE,
    initiator=TEXT,
    reason=TEXT,
    created_at=TIME,
    started_at=maybe(TIME),
    finished_at=maybe(TIME),
    next_due_at=maybe(TIME),
    cancel_requested_at=maybe(TIME),
    cancel_requested_by=TEXT,
)
_ITEM = Fields(object_id=schemas.UUID, outcome=maybe(one_of(ItemOutcome)), detail=TEXT)

_WORK = Fields(
    "PeriodicWork",
    type=TEXT,
    every=one_of(Every),
    next_due_at=TIME,
    last_run=field(maybe(RUN.schema), lambda work: work.last_run and RUN.of(work.last_run)),
    last_outcome=maybe(one_of(Outcome)),
)


class OperationRunList(Resource):
    @operation(
        summary="List operation runs",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(RUN)},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        rows = OperationRun.objects.filter(
            ledger.visible(self.actor), **queries.filters(self.query, _FILTERS)
        ).select_related("namespace")
        return pages.respond(request, rows, RUN.of, query=self.query)


class PeriodicWorkList(Resource):
    @operation(
        summary="List periodic work",
        answers={200: schemas.record(results=schemas.many(_WORK.schema))},
    )
    def get(self, request: Request) -> Response:
        """When each type is due next, its last run, and how the last one that ended did.

        Empty for users who are confined to namespaces: the work is the workspace's.
        """
        works = periodic_listing.read(self.actor)
        return Response({"results": [_WORK.of(work) for work in works]})


class OperationRunDetail(Resource):
    @operation(
        summary="Get an operation run",
        answers={200: RUN},
        refusals=(ledger.OperationUnknown,),
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """Its status, progress and outcome."""
        return Response(RUN.of(ledger.find(run_id, actor=self.actor)))


class OperationRunItemList(Resource):
    @operation(
        summary="List the items of an operation run",
        query={**_ITEM_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(_ITEM)},
        refusals=(ledger.OperationUnknown,),
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """In the order of the run. An item without an outcome wasn't reached yet."""
        rows = OperationRunItem.objects.filter(
            run=ledger.find(run_id, actor=self.actor),
            **queries.filters(self.query, _ITEM_FILTERS),
        )
        return pages.respond(
            request, rows, _ITEM.of, query=self.query, key=("object_id",), newest_first=False
        )


class OperationRunCancel(Resource):
    @operation(
        summary="Cancel an operation run",
        scope=Scope.OPERATE,
        body=parsing.WITH_REASON,
        answers={202: RUN},
        refusals=(ledger.OperationUnknown, ledger.OperationFinished),
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """Stop it at its next step. What is done stays done."""
        ledger.find(run_id, actor=self.actor)
        cancel.cancel(run_id, actor=self.actor, reason=self.body()["reason"])
        return Response(RUN.of(ledger.find(run_id, actor=self.actor)), status=202)
