"""``/alerts``: list, acknowledge."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.alerts import acknowledge, conditions, listing
from governance.alerts.conditions import Condition
from governance.kernel.reasons import ReasonInvalid
from governance.rest import pages, parsing, queries, schemas
from governance.rest.fields import Fields, field, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, TIME, WHOLE, maybe

_FILTERS: dict[str, queries.Reader] = {
    "namespace": queries.text,
    "condition": queries.one_of(Condition),
}
ALERT = Fields(
    "Alert",
    id=schemas.UUID,
    condition=TEXT,
    object=TEXT,
    namespace=maybe(TEXT),
    summary=TEXT,
    count=WHOLE,
    first_seen=field(TIME, lambda alert: alert.first_seen_at),
    last_seen=field(TIME, lambda alert: alert.last_seen_at),
    acknowledged_by=field(maybe(TEXT), lambda alert: alert.acknowledged_by or None),
    acknowledged_at=maybe(TIME),
    acknowledged_reason=TEXT,
    resolved_at=maybe(TIME),
    what_to_do=field(TEXT, lambda alert: conditions.advice(alert.condition)),
    link=TEXT,
)


class AlertList(Resource):
    @operation(
        summary="List alerts",
        query={**_FILTERS, "open": queries.truth, **pages.PARAMETERS},
        answers={200: page_of(ALERT)},
    )
    def get(self, request: Request) -> Response:
        """Newest first. Those of the whole workspace only if you aren't confined to namespaces."""
        rows = listing.visible(self.actor).filter(**queries.filters(self.query, _FILTERS))
        if "open" in self.query:
            rows = rows.filter(resolved_at__isnull=self.query["open"])
        return pages.respond(request, rows, ALERT.of, query=self.query, actor=self.actor)


class AlertAcknowledge(Resource):
    @operation(
        summary="Acknowledge an alert",
        scope=Scope.OPERATE,
        body=parsing.closed_object({"reason": parsing.OPTIONAL_REASON}),
        answers={200: ALERT},
        refusals=(listing.AlertUnknown, ReasonInvalid),
    )
    def post(self, request: Request, alert_id: UUID) -> Response:
        """Say that you look after it. The first one counts; a second one changes nothing."""
        listing.find(alert_id, actor=self.actor)
        reason = self.body().get("reason") or ""
        alert = acknowledge.acknowledge(alert_id, actor=self.actor, reason=reason)
        return Response(ALERT.of(alert))
