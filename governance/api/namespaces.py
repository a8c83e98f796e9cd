"""``/governance/namespaces``: list, make, read, halt, drain, resume."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.namespaces import halts, registry, standing
from governance.rest import pages, parsing, queries
from governance.rest.resources import Resource
from governance.states import Mode

_FILTERS: dict[str, queries.Reader] = {"state": queries.one_of(Mode)}
_CREATE = parsing.closed_object({"name": {"type": "string", "maxLength": 200}}, required=("name",))
_HALT = parsing.closed_object({"reason": parsing.REASON_IF_ANY, "until": parsing.UNTIL})
_DRAIN = parsing.closed_object({"reason": parsing.REASON, "until": parsing.UNTIL}, required=("reason",))
_RESUME = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))


class Collection(Resource):
    """All namespaces, in pages; and their births."""

    powers = {"POST": Power.ADMINISTER}

    def get(self, request: Request) -> Response:
        """Answer ``{results, next, previous}``, in the order of their making."""
        sent = queries.read(request, {**_FILTERS, **pages.PARAMETERS})
        rows = standing.rows(self.actor)
        if "state" in sent:
            rows = rows.filter(standing.in_state(sent["state"]))
        return pages.respond(request, rows, standing.described, sent=sent, newest_first=False)

    def post(self, request: Request) -> Response:
        """Make a namespace: 201 with it, or 409."""
        sent: dict[str, Any] = parsing.document(request, _CREATE)
        registry.create(sent["name"], actor=self.actor)
        return Response(standing.described(standing.row_of(sent["name"], actor=self.actor)), status=201)


class One(Resource):
    """One namespace."""

    def get(self, request: Request, namespace: str) -> Response:
        """Answer how it stands, with its newest stops and their certificates."""
        queries.read(request, {})
        row = standing.row_of(namespace, actor=self.actor)
        return Response({**standing.described(row), "stops": standing.told(standing.history(row.pk))})


class Halt(Resource):
    """The end of all work in a namespace, until somebody resumes it."""

    powers = {"POST": Power.OPERATE}

    def post(self, request: Request, namespace: str) -> Response:
        """Halt it, with or without a reason: 200 with how it stands; a second one changes nothing."""
        sent: dict[str, Any] = parsing.document(request, _HALT)
        stands = halts.halt(namespace, actor=self.actor, reason=sent.get("reason") or "", until=parsing.moment(sent, "until"))
        return Response(stands.data())


class Drain(Resource):
    """No new starts in a namespace; what runs goes on to its end."""

    powers = {"POST": Power.OPERATE}

    def post(self, request: Request, namespace: str) -> Response:
        """Drain it: 200 with how it stands, 409 where it is halted."""
        standing.row_of(namespace, actor=self.actor)
        sent: dict[str, Any] = parsing.document(request, _DRAIN)
        return Response(halts.drain(namespace, actor=self.actor, reason=sent["reason"], until=parsing.moment(sent, "until")).data())


class Resume(Resource):
    """The end of a halt or a drain."""

    powers = {"POST": Power.OPERATE}

    def post(self, request: Request, namespace: str) -> Response:
        """Resume it: 200 with how it stands."""
        standing.row_of(namespace, actor=self.actor)
        sent: dict[str, Any] = parsing.document(request, _RESUME)
        return Response(halts.resume(namespace, actor=self.actor, reason=sent["reason"]).data())
