"""``/profiles/{id}/revisions`` and ``/run-profiles/{id}/revisions``: what was saved, and the way back to it."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.rest import conditions, pages, parsing, queries
from governance.rest.resources import Resource
from orbit.api import profiles
from orbit.profiles import edit, history
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, Kind

_RESTORE = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))


class OfProfile(Resource):
    """The revisions of a profile."""

    def get(self, request: Request, profile_id: str) -> Response:
        """Answer who saved what number when and why, newest first."""
        return _page(self, request, PROFILE, profile_id)


class OneOfProfile(Resource):
    """One revision of a profile."""

    def get(self, request: Request, profile_id: str, number: int) -> Response:
        """Answer it with its whole document."""
        queries.read(request, {})
        return Response(_shown(history.one(PROFILE, profile_id, number, actor=self.actor), whole=True))


class RestoreProfile(Resource):
    """The way back to a revision of a profile."""

    powers = {"POST": Power.CONFIGURE}

    def post(self, request: Request, profile_id: str, number: int) -> Response:
        """Save the revision's document again, if the current one is still what If-Match names."""
        return _restore(self, request, PROFILE, profile_id, number)


class OfRunProfile(Resource):
    """The revisions of a run profile."""

    def get(self, request: Request, run_profile_id: str) -> Response:
        """Answer who saved what number when and why, newest first."""
        return _page(self, request, RUN_PROFILE, run_profile_id)


class OneOfRunProfile(Resource):
    """One revision of a run profile."""

    def get(self, request: Request, run_profile_id: str, number: int) -> Response:
        """Answer it with its whole document."""
        queries.read(request, {})
        return Response(_shown(history.one(RUN_PROFILE, run_profile_id, number, actor=self.actor), whole=True))


class RestoreRunProfile(Resource):
    """The way back to a revision of a run profile."""

    powers = {"POST": Power.CONFIGURE}

    def post(self, request: Request, run_profile_id: str, number: int) -> Response:
        """Save the revision's document again, if the current one is still what If-Match names."""
        return _restore(self, request, RUN_PROFILE, run_profile_id, number)


def _page(resource: Resource, request: Request, kind: Kind, name: str) -> Response:
    sent = queries.read(request, pages.PARAMETERS)
    return pages.respond(request, history.listed(kind, name, actor=resource.actor).defer("document"), _shown, sent=sent, key="number")


def _restore(resource: Resource, request: Request, kind: Kind, name: str, number: int) -> Response:
    queries.read(request, {})
    expected, sent = conditions.expected(request), parsing.document(request, _RESTORE)
    return profiles.saved(edit.roll_back(kind, name, number, actor=resource.actor, source="api", expected=expected, reason=sent["reason"]))


def _shown(row: Any, *, whole: bool = False) -> dict[str, Any]:
    shown = {"number": row.number, "author": row.author, "source": row.source, "reason": row.reason, "created_at": row.created_at}
    return {**shown, "document": row.document} if whole else shown
