"""``/profiles/{id}/revisions`` and ``/run-profiles/{id}/revisions``: what was saved, and the way back to it."""

from typing import Any, get_args

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import conditions, pages, parsing
from governance.rest.resources import Resource
from governance.rest.schemas import FREE, TEXT, TIME, WHOLE, one_of, page, record
from orbit.api import profiles
from orbit.api.profiles import PROFILE_SHAPE, RUN_PROFILE_SHAPE
from orbit.errors import DocumentInvalid, ProfileUnknown, RevisionUnknown, RunProfileUnknown, Stale
from orbit.profiles import edit, history
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, Kind
from orbit.profiles.revisions import Source

_RESTORE = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))
_REVISION = {
    "number": WHOLE,
    "author": TEXT,
    "source": one_of(get_args(Source)),
    "reason": TEXT,
    "created_at": TIME,
}
REVISION = record("Revision", **_REVISION)
_WHOLE = record(
    "WholeRevision", **_REVISION, document={**FREE, "description": "as it was saved then"}
)
_REFUSALS = (*conditions.REFUSALS, RevisionUnknown, Stale, DocumentInvalid)


class OfProfile(Resource):
    """The revisions of a profile."""

    parameters = {"GET": pages.PARAMETERS}
    answers = {"GET": {200: page(REVISION)}}
    refusals = {"GET": (ProfileUnknown,)}

    def get(self, request: Request, profile_id: str) -> Response:
        """Answer who saved what number when and why, newest first."""
        return _page(self, request, PROFILE, profile_id)


class OneOfProfile(Resource):
    """One revision of a profile."""

    parameters = {"GET": {}}
    answers = {"GET": {200: _WHOLE}}
    refusals = {"GET": (ProfileUnknown, RevisionUnknown)}

    def get(self, request: Request, profile_id: str, number: int) -> Response:
        """Answer it with its whole document."""
        return Response(
            _shown(history.one(PROFILE, profile_id, number, actor=self.actor), whole=True)
        )


class RestoreProfile(Resource):
    """The way back to a revision of a profile."""

    scopes = {"POST": Scope.CONFIGURE}
    parameters = {"POST": {}}
    bodies = {"POST": _RESTORE}
    request_headers = {"POST": conditions.HEADERS}
    answers = {"POST": {200: PROFILE_SHAPE, 201: PROFILE_SHAPE}}
    refusals = {"POST": (ProfileUnknown, *_REFUSALS)}

    def post(self, request: Request, profile_id: str, number: int) -> Response:
        """Save the revision's document again, if the current one is still what If-Match names; one that is hidden comes back with ``If-None-Match: *``."""
        return _restore(self, request, PROFILE, profile_id, number)


class OfRunProfile(Resource):
    """The revisions of a run profile."""

    parameters = {"GET": pages.PARAMETERS}
    answers = {"GET": {200: page(REVISION)}}
    refusals = {"GET": (RunProfileUnknown,)}

    def get(self, request: Request, run_profile_id: str) -> Response:
        """Answer who saved what number when and why, newest first."""
        return _page(self, request, RUN_PROFILE, run_profile_id)


class OneOfRunProfile(Resource):
    """One revision of a run profile."""

    parameters = {"GET": {}}
    answers = {"GET": {200: _WHOLE}}
    refusals = {"GET": (RunProfileUnknown, RevisionUnknown)}

    def get(self, request: Request, run_profile_id: str, number: int) -> Response:
        """Answer it with its whole document."""
        return Response(
            _shown(history.one(RUN_PROFILE, run_profile_id, number, actor=self.actor), whole=True)
        )


class RestoreRunProfile(Resource):
    """The way back to a revision of a run profile."""

    scopes = {"POST": Scope.CONFIGURE}
    parameters = {"POST": {}}
    bodies = {"POST": _RESTORE}
    request_headers = {"POST": conditions.HEADERS}
    answers = {"POST": {200: RUN_PROFILE_SHAPE, 201: RUN_PROFILE_SHAPE}}
    refusals = {"POST": (RunProfileUnknown, *_REFUSALS)}

    def post(self, request: Request, run_profile_id: str, number: int) -> Response:
        """Save the revision's document again, if the current one is still what If-Match names; one that is hidden comes back with ``If-None-Match: *``."""
        return _restore(self, request, RUN_PROFILE, run_profile_id, number)


def _page(resource: Resource, request: Request, kind: Kind, name: str) -> Response:
    rows = history.listed(kind, name, actor=resource.actor).defer("document")
    return pages.respond(request, rows, _shown, sent=resource.sent, key="number")


def _restore(resource: Resource, request: Request, kind: Kind, name: str, number: int) -> Response:
    expected, reason = conditions.expected(request), resource.document()["reason"]
    return profiles.saved(
        edit.roll_back(
            kind, name, number, actor=resource.actor, source="api", expected=expected, reason=reason
        )
    )


def _shown(row: Any, *, whole: bool = False) -> dict[str, Any]:
    shown = {
        "number": row.number,
        "author": row.author,
        "source": row.source,
        "reason": row.reason,
        "created_at": row.created_at,
    }
    return {**shown, "document": row.document} if whole else shown
