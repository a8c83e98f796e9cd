"""``/cycles``: list, read, cancel."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.rest import pages, parsing, queries
from governance.rest.resources import Resource
from orbit.api import shapes
from orbit.cycles import cancel, detail, listing, verdict
from orbit.states import Cycle

RECENT = 20
_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "status": queries.one_of(Cycle),
    "run_profile_id": queries.text,
    "created_from": queries.moment,
    "created_to": queries.moment,
}
_CANCEL = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))


class Recent(Resource):
    """The last twenty, newest first."""

    def get(self, request: Request) -> Response:
        """Answer ``{results}``."""
        queries.read(request, {})
        return Response({"results": [shapes.cycle(row) for row in listing.matching(self.actor)[:RECENT]]})


class Collection(Resource):
    """All of them, in pages."""

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first."""
        sent = queries.read(request, {**_FILTERS, **pages.PARAMETERS})
        filters = {name: value for name, value in sent.items() if name in _FILTERS}
        return pages.respond(request, listing.matching(self.actor, **filters), shapes.cycle, sent=sent)


class One(Resource):
    """One cycle with everything that hangs on it."""

    def get(self, request: Request, cycle_id: UUID) -> Response:
        """Answer the cycle with its verdict, stages, tiers, items, jobs, receipts, records and checkpoints."""
        queries.read(request, {})
        found = detail.read(cycle_id, actor=self.actor)
        return Response({**shapes.cycle_detail(found), "verdict": verdict.sentence(found, now=timezone.now())})


class Cancel(Resource):
    """The end of a cycle before its time."""

    powers = {"POST": Power.OPERATE}

    def post(self, request: Request, cycle_id: UUID) -> Response:
        """Cancel it: 202, or 409 for one that has finished."""
        detail.refuse_unseen(cycle_id, actor=self.actor)
        sent: dict[str, Any] = parsing.document(request, _CANCEL)
        cancel.cancel(cycle_id, actor=self.actor, reason=sent["reason"])
        return Response({"cycle_run_id": str(cycle_id), "status": str(Cycle.CANCELLED)}, status=202)
