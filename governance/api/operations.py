"""``/operations``: list, read, items, cancel."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.models import OperationRun, OperationRunItem
from governance.operations import cancel, ledger
from governance.rest import pages, parsing, queries, schemas
from governance.rest.resources import Resource
from governance.rest.schemas import maybe, record
from governance.states import ItemOutcome, Operation, Outcome

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "type": queries.text,
    "status": queries.one_of(Operation),
    "outcome": queries.one_of(Outcome),
}
_CANCEL = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))
RUN = record(
    "Operation",
    id=schemas.UUID,
    type=schemas.TEXT,
    namespace=maybe(schemas.TEXT),
    status=schemas.one_of(Operation),
    outcome=maybe(schemas.one_of(Outcome)),
    summary_counts={"type": "object", "additionalProperties": schemas.WHOLE},
    progress=schemas.FREE,
    context=schemas.FREE,
    initiator=schemas.TEXT,
    reason=schemas.TEXT,
    created_at=schemas.TIME,
    started_at=maybe(schemas.TIME),
    finished_at=maybe(schemas.TIME),
    next_due_at=maybe(schemas.TIME),
    cancel_requested_at=maybe(schemas.TIME),
    cancel_requested_by=schemas.TEXT,
)
_ITEM = record(
    object_id=schemas.UUID, outcome=maybe(schemas.one_of(ItemOutcome)), detail=schemas.TEXT
)


class Collection(Resource):
    """All operation runs, in pages."""

    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}}
    answers = {"GET": {200: schemas.page(RUN)}}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first."""
        wanted = {
            "namespace__name" if name == "namespace" else name: value
            for name, value in self.sent.items()
            if name in _FILTERS
        }
        rows = OperationRun.objects.filter(ledger.visible(self.actor), **wanted).select_related(
            "namespace"
        )
        return pages.respond(request, rows, ledger.to_dict, sent=self.sent)


class One(Resource):
    """One operation run."""

    parameters = {"GET": {}}
    answers = {"GET": {200: RUN}}
    refusals = {"GET": (ledger.OperationUnknown,)}

    def get(self, request: Request, run_id: UUID) -> Response:
        """Answer the run."""
        return Response(ledger.to_dict(ledger.find(run_id, actor=self.actor)))


class Items(Resource):
    """What became of each object of a run."""

    parameters = {"GET": {"outcome": queries.one_of(ItemOutcome), **pages.PARAMETERS}}
    answers = {"GET": {200: schemas.page(_ITEM)}}
    refusals = {"GET": (ledger.OperationUnknown,)}

    def get(self, request: Request, run_id: UUID) -> Response:
        """Answer ``{results: [{object_id, outcome, detail}], next, previous}`` in the run's order; no outcome: not reached."""
        rows = OperationRunItem.objects.filter(run=ledger.find(run_id, actor=self.actor))
        if "outcome" in self.sent:
            rows = rows.filter(outcome=self.sent["outcome"])
        return pages.respond(
            request, rows, _item, sent=self.sent, key="object_id", newest_first=False
        )


class Cancel(Resource):
    """The end of a run before its time."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _CANCEL}
    answers = {"POST": {202: RUN}}
    refusals = {"POST": (ledger.OperationUnknown, ledger.OperationFinished)}

    def post(self, request: Request, run_id: UUID) -> Response:
        """Cancel it: 202, or 409 for one that has ended."""
        ledger.find(run_id, actor=self.actor)
        cancel.cancel(run_id, actor=self.actor, reason=self.document()["reason"])
        return Response(ledger.to_dict(ledger.find(run_id, actor=self.actor)), status=202)


def _item(row: OperationRunItem) -> dict[str, Any]:
    return {"object_id": row.object_id, "outcome": row.outcome, "detail": row.detail}
