"""``/cycles``: list, read, cancel."""

from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import pages, parsing, queries
from governance.rest.resources import Resource
from governance.rest.schemas import UUID as ID
from governance.rest.schemas import many, one_of, page, record
from orbit.api import schemas
from orbit.cycles import cancel, detail, overview
from orbit.errors import CycleFinished, CycleUnknown
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
    """The last twenty cycles."""

    parameters = {"GET": {}}
    answers = {"GET": {200: record(results=many(schemas.CYCLE))}}

    def get(self, request: Request) -> Response:
        """Answer ``{results}``, newest first."""
        return Response(
            {"results": [schemas.cycle(row) for row in detail.matching(self.actor)[:RECENT]]}
        )


class Collection(Resource):
    """All cycles, in pages."""

    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}}
    answers = {"GET": {200: page(schemas.CYCLE)}}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, newest first."""
        filters = {name: value for name, value in self.sent.items() if name in _FILTERS}
        return pages.respond(
            request, detail.matching(self.actor, **filters), schemas.cycle, sent=self.sent
        )


class One(Resource):
    """One cycle with everything that hangs on it."""

    parameters = {"GET": {}}
    answers = {"GET": {200: schemas.CYCLE_DETAIL}}
    refusals = {"GET": (CycleUnknown,)}

    def get(self, request: Request, cycle_id: UUID) -> Response:
        """Answer the cycle with its verdict, stages, tiers, items, jobs, receipts, records and checkpoints."""
        found = detail.read(cycle_id, actor=self.actor)
        return Response(
            {**schemas.cycle_detail(found), "verdict": overview.sentence(found, now=timezone.now())}
        )


class Cancel(Resource):
    """The end of a cycle before its time."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _CANCEL}
    answers = {"POST": {202: record(cycle_run_id=ID, status=one_of([Cycle.CANCELLED]))}}
    refusals = {"POST": (CycleUnknown, CycleFinished)}

    def post(self, request: Request, cycle_id: UUID) -> Response:
        """Cancel it: 202, or 409 for one that has finished."""
        detail.ensure_visible(cycle_id, actor=self.actor)
        cancel.cancel(cycle_id, actor=self.actor, reason=self.document()["reason"])
        return Response({"cycle_run_id": str(cycle_id), "status": str(Cycle.CANCELLED)}, status=202)
