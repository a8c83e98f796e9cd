"""``/profiles`` and ``/run-profiles``: the configuration that runs, read and edited."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Power
from governance.rest import conditions, pages, parsing, queries, shapes
from governance.rest.resources import Resource
from orbit.profiles import edit, kinds, schema, visible
from orbit.profiles.edit import Edited
from orbit.profiles.kinds import PROFILE, RUN_PROFILE
from orbit.states import State

#: What a document may hold is checked by the schemas of the files, with what they can't say.
_DOCUMENT = {"type": "object"}


_FILTERS = {"state": queries.one_of(State), "namespace": queries.text, "profile_id": queries.text}
PROFILE_SHAPE = shapes.inlined("Profile", schema.of_profile())
RUN_PROFILE_SHAPE = shapes.inlined("RunProfile", schema.of_run_profile())


class Profiles(Resource):
    """All profiles, in pages."""

    parameters = {"GET": {"state": queries.one_of(State), **pages.PARAMETERS}}
    answers = {"GET": {200: shapes.page(PROFILE_SHAPE)}}

    def get(self, request: Request) -> Response:
        """Answer whole documents, by id."""
        rows = visible.profiles(self.actor).filter(**{name: value for name, value in self.sent.items() if name == "state"})
        return pages.respond(request, rows, lambda row: row.document, sent=self.sent, key="profile_id", newest_first=False)


class OneProfile(Resource):
    """One profile."""

    powers = {"PUT": Power.CONFIGURE}

    def get(self, request: Request, profile_id: str) -> HttpResponse:
        """Answer the whole document, its revision as ETag; 304 where If-None-Match has it."""
        queries.read(request, {})
        return _document(request, kinds.found(PROFILE, profile_id, actor=self.actor))

    def put(self, request: Request, profile_id: str) -> Response:
        """Replace the whole document, if it is still the revision that If-Match names; make it with If-None-Match: *."""
        queries.read(request, {})
        expected, reason = conditions.expected(request), conditions.reason(request)
        document = parsing.document(request, _DOCUMENT)
        return saved(edit.put_profile(profile_id, document, actor=self.actor, source="api", expected=expected, reason=reason))


class RunProfiles(Resource):
    """All run profiles, in pages."""

    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}}
    answers = {"GET": {200: shapes.page(RUN_PROFILE_SHAPE)}}

    def get(self, request: Request) -> Response:
        """Answer whole documents, by id."""
        columns = {"profile_id": "profile__profile_id"}
        rows = visible.run_profiles(self.actor).filter(**{columns.get(name, name): value for name, value in self.sent.items() if name in _FILTERS})
        return pages.respond(request, rows, lambda row: row.document, sent=self.sent, key="run_profile_id", newest_first=False)


class OneRunProfile(Resource):
    """One run profile."""

    powers = {"PUT": Power.CONFIGURE}

    def get(self, request: Request, run_profile_id: str) -> HttpResponse:
        """Answer the whole document, its revision as ETag; 304 where If-None-Match has it."""
        queries.read(request, {})
        return _document(request, kinds.found(RUN_PROFILE, run_profile_id, actor=self.actor))

    def put(self, request: Request, run_profile_id: str) -> Response:
        """Replace the whole document, if it is still the revision that If-Match names; make it with If-None-Match: *."""
        queries.read(request, {})
        expected, reason = conditions.expected(request), conditions.reason(request)
        document = parsing.document(request, _DOCUMENT)
        return saved(edit.put_run_profile(run_profile_id, document, actor=self.actor, source="api", expected=expected, reason=reason))


def saved(edited: Edited) -> Response:
    """Answer for an edit: the document that stands now, with its ETag."""
    return Response(edited.document, status=201 if edited.created else 200, headers={"ETag": conditions.etag(edited.revision)})


def _document(request: Request, row: Any) -> HttpResponse:
    headers = {"ETag": conditions.etag(row.revision)}
    return HttpResponse(status=304, headers=headers) if conditions.unchanged(request, row.revision) else Response(row.document, headers=headers)
