"""``/endpoints``: send a test delivery."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.namespaces.gate import GloballyPaused
from governance.rest.fields import Fields
from governance.rest.resources import Resource, operation
from governance.rest.schemas import NUMBER, TEXT, WHOLE, maybe, one_of
from orbit.dispatch import trial
from orbit.errors import EndpointUnknown, JustTested
from orbit.states import Attempt

_RESULT = Fields(status=one_of(Attempt), status_code=maybe(WHOLE), latency_ms=NUMBER, error=TEXT)


class EndpointTest(Resource):
    @operation(
        summary="Send a test delivery",
        scope=Scope.OPERATE,
        answers={200: _RESULT},
        refusals=(EndpointUnknown, JustTested, GloballyPaused),
    )
    def post(self, request: Request, endpoint_key: str) -> Response:
        """Send one delivery with the header `X-Orbit-Test: 1` and wait for its answer.

        It is audited and never retried. The endpoint's circuit and limits don't count it.
        Needs the whole workspace.
        """
        return Response(_RESULT.of(trial.send(endpoint_key, actor=self.actor)))
