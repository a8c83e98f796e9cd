"""``/governance/pause`` and ``/governance/unpause``: everything, everywhere."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.namespaces import pauses
from governance.rest import parsing, queries
from governance.rest.resources import Resource

_PAUSE = parsing.closed_object({"reason": parsing.REASON, "until": parsing.UNTIL}, required=("reason",))
_UNPAUSE = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))


class Pause(Resource):
    """The pause of everything."""

    powers = {"POST": Power.OPERATE}

    def get(self, request: Request) -> Response:
        """Answer ``{paused, source, reason, by, since, until, quiet, certificate}``."""
        queries.read(request, {})
        return Response(pauses.read(actor=self.actor).data())

    def post(self, request: Request) -> Response:
        """Pause everything: 200 with how it stands."""
        self.actor.require_workspace()
        sent: dict[str, Any] = parsing.document(request, _PAUSE)
        return Response(pauses.pause(actor=self.actor, reason=sent["reason"], until=parsing.moment(sent, "until")).data())


class Unpause(Resource):
    """The end of the pause."""

    powers = {"POST": Power.OPERATE}

    def post(self, request: Request) -> Response:
        """End it: 200 with how it stands, 409 where the environment holds it."""
        self.actor.require_workspace()
        sent: dict[str, Any] = parsing.document(request, _UNPAUSE)
        return Response(pauses.unpause(actor=self.actor, reason=sent["reason"]).data())
