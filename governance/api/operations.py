"""``/operations``: list, read, items, cancel."""

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.models import OperationRun, OperationRunItem
from governance.operations import cancel, ledger
from governance.rest import pages, parsing, queries
from governance.rest.resources import Resource
from governance.states import ItemOutcome, Operation, Outcome

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "type": queries.text,
    "status": queries.one_of(Operation),
    "outcome": queries.one_of(Outcome),
}
_CANCEL = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))


class Collection(Resource):
    """All of them, in pages."""

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first."""
        sent = queries.read(request, {**_FILTERS, **pages.PARAMETERS})
        wanted = {"namespace__name" if name == "namespace" else name: value for name, value in sent.items() if name in _FILTERS}
        rows = OperationRun.objects.filter(ledger.visible(self.actor), **wanted).select_related("namespace")
        return pages.respond(request, rows, ledger.described, sent=sent)


class One(Resource):
    """One run."""

    def get(self, request: Request, run_id: UUID) -> Response:
        """Answer the run."""
        queries.read(request, {})
        return Response(ledger.described(ledger.find(run_id, actor=self.actor)))


class Items(Resource):
    """What became of each object of a run."""

    def get(self, request: Request, run_id: UUID) -> Response:
        """Answer ``{results: [{object_id, outcome, detail}], next, previous}`` in the run's order; no outcome: not reached."""
        readers = {"outcome": queries.one_of(ItemOutcome), **pages.PARAMETERS}
        sent = queries.read(request, readers)
        rows = OperationRunItem.objects.filter(run=ledger.find(run_id, actor=self.actor))
        if "outcome" in sent:
            rows = rows.filter(outcome=sent["outcome"])
        return pages.respond(request, rows, _item, sent=sent, key="object_id", newest_first=False)


class Cancel(Resource):
    """The end of a run before its time."""

    powers = {"POST": Power.OPERATE}

    def post(self, request: Request, run_id: UUID) -> Response:
        """Cancel it: 202, or 409 for one that has ended."""
        ledger.find(run_id, actor=self.actor)
        sent: dict[str, Any] = parsing.document(request, _CANCEL)
        cancel.cancel(run_id, actor=self.actor, reason=sent["reason"])
        return Response(ledger.described(ledger.find(run_id, actor=self.actor)), status=202)


def _item(row: OperationRunItem) -> dict[str, Any]:
    return {"object_id": row.object_id, "outcome": row.outcome, "detail": row.detail}
