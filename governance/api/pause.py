"""``/governance/pause`` and ``/governance/unpause``: everything, everywhere."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.api.namespaces import CERTIFICATE
from governance.namespaces import pauses
from governance.namespaces.stops import ReasonInvalid, UntilInvalid
from governance.rest import parsing
from governance.rest.resources import Resource
from governance.rest.schemas import TEXT, TIME, TRUTH, maybe, one_of, record

_PAUSE = parsing.closed_object(
    {"reason": parsing.REASON, "until": parsing.UNTIL}, required=("reason",)
)
_UNPAUSE = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))
PAUSE = record(
    "Pause",
    paused=TRUTH,
    source=maybe(one_of(("environment", "console"))),
    reason=TEXT,
    by=TEXT,
    since=maybe(TIME),
    until=maybe(TIME),
    quiet=TRUTH,
    certificate=maybe(CERTIFICATE),
)


class Pause(Resource):
    """The pause of everything."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"GET": {}, "POST": {}}
    bodies = {"POST": _PAUSE}
    answers = {"GET": {200: PAUSE}, "POST": {200: PAUSE}}
    refusals = {"POST": (ReasonInvalid, UntilInvalid)}

    def get(self, request: Request) -> Response:
        """Answer ``{paused, source, reason, by, since, until, quiet, certificate}``."""
        return Response(pauses.read(actor=self.actor).data())

    def post(self, request: Request) -> Response:
        """Pause everything: 200 with how it stands."""
        self.actor.require_workspace()
        sent = self.document()
        return Response(
            pauses.pause(
                actor=self.actor, reason=sent["reason"], until=parsing.moment(sent, "until")
            ).data()
        )


class Unpause(Resource):
    """The end of the pause."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": _UNPAUSE}
    answers = {"POST": {200: PAUSE}}
    refusals = {"POST": (ReasonInvalid, pauses.HeldByEnvironment)}

    def post(self, request: Request) -> Response:
        """End it: 200 with how it stands, 409 where the environment holds it."""
        self.actor.require_workspace()
        return Response(pauses.unpause(actor=self.actor, reason=self.document()["reason"]).data())
