"""``/cycles``: list, read, cancel."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import pages, parsing, queries
from governance.rest.fields import page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import UUID as ID
from governance.rest.schemas import many, one_of, record
from orbit.api.schemas import CYCLE, CYCLE_DETAIL
from orbit.cycles import cancel, detail
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


class CycleRecent(Resource):
    @operation(
        summary="List recent cycles",
        answers={200: record(results=many(CYCLE.schema))},
    )
    def get(self, request: Request) -> Response:
        """The last 20, newest first."""
        cycles = detail.matching(self.actor)[:RECENT]
        return Response({"results": [CYCLE.of(cycle) for cycle in cycles]})


class CycleList(Resource):
    @operation(
        summary="List cycles",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(CYCLE)},
    )
    def get(self, request: Request) -> Response:
        """Newest first."""
        cycles = detail.matching(self.actor, **queries.filters(self.query, _FILTERS))
        return pages.respond(request, cycles, CYCLE.of, query=self.query, actor=self.actor)


class CycleDetailView(Resource):
    @operation(summary="Get a cycle", answers={200: CYCLE_DETAIL}, refusals=(CycleUnknown,))
    def get(self, request: Request, cycle_id: UUID) -> Response:
        """Its verdict, stages, tiers, items, jobs, receipts, dead letters and records."""
        return Response(CYCLE_DETAIL.of(detail.read(cycle_id, actor=self.actor)))


class CycleCancel(Resource):
    @operation(
        summary="Cancel a cycle",
        scope=Scope.OPERATE,
        body=parsing.WITH_REASON,
        answers={202: record(cycle_run_id=ID, status=one_of([Cycle.CANCELLED]))},
        refusals=(CycleUnknown, CycleFinished),
    )
    def post(self, request: Request, cycle_id: UUID) -> Response:
        """End it now. What was delivered stays delivered; the rest is cancelled."""
        # First: a cycle that the caller doesn't see is a 404, whatever the body.
        detail.ensure_visible(cycle_id, actor=self.actor)
        cancel.cancel(cycle_id, actor=self.actor, reason=self.body()["reason"])
        return Response({"cycle_run_id": cycle_id, "status": Cycle.CANCELLED}, status=202)
