"""``/signals``, and ``/profiles/{profile_id}/signals`` to compute them."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from advisory.autonomy import computing
from advisory.errors import SignalUnknown
from advisory.signals import reading, windows
from advisory.signals.compute import SCOPES
from advisory.signals.windows import WindowInvalid
from advisory.states import SignalKind
from governance.rest import pages, parsing, queries
from governance.rest.fields import Fields, field, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import FREE, NUMBER, TEXT, TIME, many, maybe, one_of
from governance.rest.schemas import UUID as ID
from orbit.errors import ProfileUnknown

_FILTERS: dict[str, queries.Reader] = {
    "profile_id": queries.text,
    "namespace": queries.text,
    "signal": queries.one_of(SignalKind),
    "computation_id": queries.identifier,
    "from": queries.moment.on("created_at__gte"),
    "to": queries.moment.on("created_at__lt"),
}
SIGNAL = Fields(
    "AdvisorySignal",
    id=ID,
    computation_id=ID,
    profile_id=TEXT,
    namespace=maybe(TEXT),
    signal=one_of(SignalKind),
    confidence=NUMBER,
    method=TEXT,
    window=field(
        Fields(**{"from": field(TIME, "window_from"), "to": field(TIME, "window_to")}).schema,
        lambda row: {"from": row.window_from, "to": row.window_to},
    ),
    evidence=FREE,
    recommendation=TEXT,
    created_at=TIME,
)


class ProfileSignals(Resource):
    @operation(
        summary="Compute signals of a profile",
        scope=SCOPES,
        body=parsing.closed_object(
            {"from": parsing.TIME, "to": parsing.TIME, "baseline_from": parsing.TIME}
        ),
        answers={201: many(SIGNAL.schema)},
        refusals=(ProfileUnknown, WindowInvalid),
    )
    def post(self, request: Request, profile_id: str) -> Response:
        """One for each namespace that the profile runs in and you see.

        Without a body over the last 7 days, against the 21 days before. False discoveries are
        controlled over the tests of this computation.
        """
        body = self.body()
        window = windows.choose(
            start=parsing.moment(body, "from"),
            end=parsing.moment(body, "to"),
            baseline_start=parsing.moment(body, "baseline_from"),
        )
        computed = computing.compute_and_act(actor=self.actor, profile_id=profile_id, window=window)
        return Response([SIGNAL.of(row) for row in computed.computation.signals], status=201)


class SignalList(Resource):
    @operation(
        summary="List signals",
        query={**_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(SIGNAL)},
    )
    def get(self, request: Request) -> Response:
        """Newest first; `from` and `to` are of the time of the computation.

        For a user who is confined to namespaces, a page without `profile_id`, `namespace` or
        `computation_id` looks at 20,000 signals: it may be short, even empty, while `next` goes on.
        """
        listed = reading.listed(self.actor, queries.filters(self.query, _FILTERS))
        return pages.respond(
            request,
            listed.rows,
            SIGNAL.of,
            query=self.query,
            key=("created_at", "id"),
            scanned=listed.scanned,
        )


class SignalDetail(Resource):
    @operation(summary="Get a signal", answers={200: SIGNAL}, refusals=(SignalUnknown,))
    def get(self, request: Request, signal_id: UUID) -> Response:
        """With the numbers that it rests on."""
        return Response(SIGNAL.of(reading.find(signal_id, actor=self.actor)))
