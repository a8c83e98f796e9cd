"""``/config``: where the files and the database differ, and the files into the database."""

from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.rest import parsing, queries
from governance.rest.resources import Resource
from orbit.profiles import diff, reload

_RELOAD = parsing.closed_object({"reason": parsing.REASON})


class Diff(Resource):
    """The drift of files and database."""

    def get(self, request: Request) -> Response:
        """Answer every place at which they differ with both values, up to a bound; 422 where files or endpoints can't be used."""
        queries.read(request, {})
        found = diff.differences(actor=self.actor)
        shown = diff.bounded(found)
        return Response({"same": not found, "total": len(found), "differences": [one.as_json() for one in shown]})


class Reload(Resource):
    """The files into the database."""

    powers = {"POST": Power.CONFIGURE}

    def post(self, request: Request) -> Response:
        """Apply them, all or nothing; 409 while any cycle is active."""
        queries.read(request, {})
        sent = parsing.document(request, _RELOAD)
        return Response(asdict(reload.apply_files(actor=self.actor, reason=sent.get("reason", ""))))
