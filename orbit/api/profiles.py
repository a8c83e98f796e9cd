"""``/profiles`` and ``/run-profiles``: the configuration that runs, read and edited."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import conditions, pages, queries
from governance.rest.resources import Resource
from governance.rest.schemas import inlined, page
from orbit.errors import DocumentInvalid, ProfileUnknown, RunProfileUnknown, Stale
from orbit.profiles import edit, kinds, schema, visible
from orbit.profiles.edit import Edited
from orbit.profiles.kinds import PROFILE, RUN_PROFILE
from orbit.states import ProfileState

#: What a document may hold is checked by the schemas of the files, with what they can't say; so every error comes at once.
_DOCUMENT = {"type": "object", "description": "the whole document, as GET answers it"}
_HEADERS = {**conditions.HEADERS, **conditions.REASON}
_FILTERS: dict[str, queries.Reader] = {
    "state": queries.one_of(ProfileState),
    "namespace": queries.text,
    "profile_id": queries.text,
}
_COLUMNS = {"profile_id": "profile__profile_id"}
PROFILE_SHAPE = inlined("Profile", schema.of_profile())
RUN_PROFILE_SHAPE = inlined("RunProfile", schema.of_run_profile())


class Profiles(Resource):
    """All profiles, in pages."""

    parameters = {"GET": {"state": _FILTERS["state"], **pages.PARAMETERS}}
    answers = {"GET": {200: page(PROFILE_SHAPE)}}

    def get(self, request: Request) -> Response:
        """Answer whole documents, by id."""
        rows = visible.profiles(self.actor).filter(
            **{name: value for name, value in self.sent.items() if name == "state"}
        )
        return pages.respond(
            request,
            rows,
            lambda row: row.document,
            sent=self.sent,
            key="profile_id",
            newest_first=False,
        )


class OneProfile(Resource):
    """One profile."""

    scopes = {"PUT": Scope.CONFIGURE}
    parameters = {"GET": {}, "PUT": {}}
    bodies = {"PUT": _DOCUMENT}
    request_headers = {"PUT": _HEADERS}
    answers = {"GET": {200: PROFILE_SHAPE}, "PUT": {200: PROFILE_SHAPE, 201: PROFILE_SHAPE}}
    refusals = {"GET": (ProfileUnknown,), "PUT": (*conditions.REFUSALS, Stale, DocumentInvalid)}

    def get(self, request: Request, profile_id: str) -> Response:
        """Answer the whole document, its revision as ETag."""
        return _read(kinds.found(PROFILE, profile_id, actor=self.actor))

    def put(self, request: Request, profile_id: str) -> Response:
        """Replace the whole document, if it is still the revision that If-Match names; make it with ``If-None-Match: *``."""
        expected, reason = conditions.expected(request), conditions.reason(request)
        return saved(
            edit.put_profile(
                profile_id,
                self.document(),
                actor=self.actor,
                source="api",
                expected=expected,
                reason=reason,
            )
        )


class RunProfiles(Resource):
    """All run profiles, in pages."""

    parameters = {"GET": {**_FILTERS, **pages.PARAMETERS}}
    answers = {"GET": {200: page(RUN_PROFILE_SHAPE)}}

    def get(self, request: Request) -> Response:
        """Answer whole documents, by id."""
        wanted = {
            _COLUMNS.get(name, name): value for name, value in self.sent.items() if name in _FILTERS
        }
        rows = visible.run_profiles(self.actor).filter(**wanted)
        return pages.respond(
            request,
            rows,
            lambda row: row.document,
            sent=self.sent,
            key="run_profile_id",
            newest_first=False,
        )


class OneRunProfile(Resource):
    """One run profile."""

    scopes = {"PUT": Scope.CONFIGURE}
    parameters = {"GET": {}, "PUT": {}}
    bodies = {"PUT": _DOCUMENT}
    request_headers = {"PUT": _HEADERS}
    answers = {
        "GET": {200: RUN_PROFILE_SHAPE},
        "PUT": {200: RUN_PROFILE_SHAPE, 201: RUN_PROFILE_SHAPE},
    }
    refusals = {
        "GET": (RunProfileUnknown,),
        "PUT": (*conditions.REFUSALS, RunProfileUnknown, Stale, DocumentInvalid),
    }

    def get(self, request: Request, run_profile_id: str) -> Response:
        """Answer the whole document, its revision as ETag."""
        return _read(kinds.found(RUN_PROFILE, run_profile_id, actor=self.actor))

    def put(self, request: Request, run_profile_id: str) -> Response:
        """Replace the whole document, if it is still the revision that If-Match names; make it with ``If-None-Match: *``."""
        expected, reason = conditions.expected(request), conditions.reason(request)
        return saved(
            edit.put_run_profile(
                run_profile_id,
                self.document(),
                actor=self.actor,
                source="api",
                expected=expected,
                reason=reason,
            )
        )


def saved(edited: Edited) -> Response:
    """Answer for an edit: the document that stands now, with its ETag."""
    return Response(
        edited.document,
        status=201 if edited.created else 200,
        headers={"ETag": conditions.etag(edited.revision)},
    )


def _read(row: Any) -> Response:
    # If-Match names this tag, so the revision stands here and not the answer's hash; who has it already gets a 304 (``etags``).
    return Response(row.document, headers={"ETag": conditions.etag(row.revision)})
