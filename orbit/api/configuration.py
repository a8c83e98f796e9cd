"""``/config``: compare the files with the database, and load the files."""

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import parsing
from governance.rest.fields import Fields
from governance.rest.resources import Resource, operation
from governance.rest.schemas import ANYTHING, TEXT, TRUTH, WHOLE, many, one_of, record
from orbit.dispatch.endpoints import EndpointsInvalid
from orbit.errors import CyclesActive
from orbit.profiles import drift, reload, schema
from orbit.profiles.files import ConfigInvalid

#: ``Difference.to_dict`` makes it: a side that has nothing at that place is absent.
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
_RELOADED = Fields(
    "Reloaded",
    created=_NAMES,
    changed=_NAMES,
    hidden=_NAMES,
    unchanged=WHOLE,
    namespaces=_NAMES,
)


class ConfigDiff(Resource):
    @operation(
        summary="Compare the files with the database",
        answers={200: record("Drift", same=TRUTH, total=WHOLE, differences=many(_DIFFERENCE))},
        refusals=(ConfigInvalid, EndpointsInvalid),
    )
    def get(self, request: Request) -> Response:
        """Every place at which they differ, with both values, up to a limit."""
        differences = drift.differences(actor=self.actor)
        return Response(
            {
                "same": not differences,
                "total": len(differences),
                "differences": [difference.to_dict() for difference in drift.bounded(differences)],
            }
        )


class ConfigReload(Resource):
    @operation(
        summary="Reload the configuration",
        scope=Scope.CONFIGURE,
        body=parsing.closed_object({"reason": parsing.REASON}),
        answers={200: _RELOADED},
        refusals=(ConfigInvalid, EndpointsInvalid, CyclesActive),
    )
    def post(self, request: Request) -> Response:
        """Load the files, all or nothing. Refused while a cycle is active."""
        reason = self.body().get("reason", "")
        return Response(_RELOADED.of(reload.apply_files(actor=self.actor, reason=reason)))
