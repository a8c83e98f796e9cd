"""``/config``: where the files and the database differ, and the files into the database."""

from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import parsing
from governance.rest.resources import Resource
from governance.rest.schemas import ANYTHING, TEXT, TRUTH, WHOLE, many, one_of, record
from orbit.dispatch.endpoints import EndpointsInvalid
from orbit.errors import CyclesActive
from orbit.profiles import diff, reload, schema
from orbit.profiles.files import ConfigInvalid

_RELOAD = parsing.closed_object({"reason": parsing.REASON})
#: A side that has nothing at that place is absent.
_DIFFERENCE = record(
    "Difference",
    optional=("in_files", "in_database"),
    file=one_of((schema.PROFILES, schema.RUN_PROFILES)),
    id=TEXT,
    pointer=TEXT,
    in_files=ANYTHING,
    in_database=ANYTHING,
)
_NAMES = many(TEXT)


class Diff(Resource):
    """The drift of files and database."""

    parameters = {"GET": {}}
    answers = {
        "GET": {200: record("Drift", same=TRUTH, total=WHOLE, differences=many(_DIFFERENCE))}
    }
    refusals = {"GET": (ConfigInvalid, EndpointsInvalid)}

    def get(self, request: Request) -> Response:
        """Answer every place at which they differ with both values, up to a bound; 422 where files or endpoints can't be used."""
        found = diff.differences(actor=self.actor)
        shown = diff.bounded(found)
        return Response(
            {
                "same": not found,
                "total": len(found),
                "differences": [one.as_json() for one in shown],
            }
        )


class Reload(Resource):
    """The files into the database."""

    scopes = {"POST": Scope.CONFIGURE}
    parameters = {"POST": {}}
    bodies = {"POST": _RELOAD}
    answers = {
        "POST": {
            200: record(
                "Reloaded",
                created=_NAMES,
                changed=_NAMES,
                hidden=_NAMES,
                unchanged=WHOLE,
                namespaces=_NAMES,
            )
        }
    }
    refusals = {"POST": (ConfigInvalid, EndpointsInvalid, CyclesActive)}

    def post(self, request: Request) -> Response:
        """Apply them, all or nothing; 409 while any cycle is active."""
        return Response(
            asdict(reload.apply_files(actor=self.actor, reason=self.document().get("reason", "")))
        )
