"""``/profiles`` and ``/run-profiles``: the configuration that runs."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.kernel.errors import Kind, OrbitError
from governance.rest import pages, queries, shapes
from governance.rest.resources import Resource
from orbit.errors import RunProfileUnknown
from orbit.models import Profile, RunProfile
from orbit.profiles import schema, visible
from orbit.states import State


class ProfileUnknown(OrbitError):
    """There is no such profile."""

    code, kind = "unknown_profile", Kind.MISSING


_FILTERS = {"state": queries.one_of(State), "namespace": queries.text, "profile_id": queries.text}
PROFILE = shapes.inlined("Profile", schema.of_profile())
RUN_PROFILE = shapes.inlined("RunProfile", schema.of_run_profile())


class Profiles(Resource):
    """All profiles, in pages."""

    parameters = {"GET": {"state": queries.one_of(State), **pages.PARAMETERS}}
    answers = {"GET": {200: shapes.page(PROFILE)}}

    def get(self, request: Request) -> Response:
        """Answer whole documents, by id."""
        rows = visible.profiles(self.actor).filter(**{name: value for name, value in self.sent.items() if name == "state"})
        return pages.respond(request, rows, lambda row: row.document, sent=self.sent, key="profile_id", newest_first=False)


class OneProfile(Resource):
    """One profile."""

    parameters = {"GET": {}}
    answers = {"GET": {200: PROFILE}}
    refusals = {"GET": (ProfileUnknown,)}

    def get(self, request: Request, profile_id: str) -> Response:
        """Answer the whole document, its revision as ETag."""
        return _document(visible.profiles(self.actor).filter(profile_id=profile_id).first() if "\x00" not in profile_id else None, ProfileUnknown)


class RunProfiles(Resource):
    """All run profiles, in pages."""

    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}}
    answers = {"GET": {200: shapes.page(RUN_PROFILE)}}

    def get(self, request: Request) -> Response:
        """Answer whole documents, by id."""
        columns = {"profile_id": "profile__profile_id"}
        rows = visible.run_profiles(self.actor).filter(**{columns.get(name, name): value for name, value in self.sent.items() if name in _FILTERS})
        return pages.respond(request, rows, lambda row: row.document, sent=self.sent, key="run_profile_id", newest_first=False)


class OneRunProfile(Resource):
    """One run profile."""

    parameters = {"GET": {}}
    answers = {"GET": {200: RUN_PROFILE}}
    refusals = {"GET": (RunProfileUnknown,)}

    def get(self, request: Request, run_profile_id: str) -> Response:
        """Answer the whole document, its revision as ETag."""
        found = visible.run_profiles(self.actor).filter(run_profile_id=run_profile_id).first() if "\x00" not in run_profile_id else None
        return _document(found, RunProfileUnknown)


def _document(row: Profile | RunProfile | None, unknown: type[OrbitError]) -> Response:
    if row is None:
        raise unknown
    document: dict[str, Any] = row.document
    return Response(document, headers={"ETag": f'"{row.revision}"'})
