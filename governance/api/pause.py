"""``/governance/pause`` and ``/governance/unpause``: all work in all namespaces."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.api.namespaces import CERTIFICATE
from governance.kernel.reasons import ReasonInvalid
from governance.namespaces import pauses
from governance.namespaces.stops import UntilInvalid
from governance.rest import parsing
from governance.rest.fields import Fields, field
from governance.rest.resources import Resource, operation
from governance.rest.schemas import TEXT, TIME, TRUTH, maybe, one_of

PAUSE = Fields(
    "Pause",
    paused=field(TRUTH, lambda pausing: pausing.source is not None),
    source=maybe(one_of(("environment", "console"))),
    reason=TEXT,
    by=TEXT,
    since=maybe(TIME),
    until=maybe(TIME),
    quiet=TRUTH,
    certificate=maybe(CERTIFICATE),
)


class PauseDetail(Resource):
    @operation(summary="Get the pause", answers={200: PAUSE})
    def get(self, request: Request) -> Response:
        """Whether everything is paused, by whom and why, and whether nothing is in flight."""
        return Response(PAUSE.of(pauses.read(actor=self.actor)))

    @operation(
        summary="Pause everything",
        scope=Scope.OPERATE,
        body=parsing.closed_object(
            {"reason": parsing.REASON, "until": parsing.UNTIL}, required=("reason",)
        ),
        answers={200: PAUSE},
        refusals=(ReasonInvalid, UntilInvalid),
    )
    def post(self, request: Request) -> Response:
        """Stop all work in all namespaces until it is unpaused."""
        self.actor.require_workspace()
        body = self.body()
        pausing = pauses.pause(
            actor=self.actor, reason=body["reason"], until=parsing.moment(body, "until")
        )
        return Response(PAUSE.of(pausing))


class PauseEnd(Resource):
    @operation(
        summary="Unpause everything",
        scope=Scope.OPERATE,
        body=parsing.WITH_REASON,
        answers={200: PAUSE},
        refusals=(ReasonInvalid, pauses.HeldByEnvironment),
    )
    def post(self, request: Request) -> Response:
        """End the pause. A pause by ORBIT_GLOBAL_PAUSE can't be ended here."""
        self.actor.require_workspace()
        pausing = pauses.unpause(actor=self.actor, reason=self.body()["reason"])
        return Response(PAUSE.of(pausing))
