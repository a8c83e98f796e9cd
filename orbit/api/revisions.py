"""Revisions of profiles and run profiles: list, read, restore."""

from typing import get_args

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import pages, parsing
from governance.rest.fields import Fields, page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import FREE, TEXT, TIME, WHOLE, one_of
from orbit.api import conditions, profiles
from orbit.api.profiles import PROFILE_SCHEMA, RUN_PROFILE_SCHEMA
from orbit.errors import DocumentInvalid, ProfileUnknown, RevisionUnknown, RunProfileUnknown, Stale
from orbit.profiles import edit, history
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind
from orbit.profiles.revisions import Source

REVISION = Fields(
    "Revision",
    number=WHOLE,
    author=TEXT,
    source=one_of(get_args(Source)),
    reason=TEXT,
    created_at=TIME,
)
_WHOLE = Fields(
    "WholeRevision",
    **REVISION.fields,
    document={**FREE, "description": "as it was saved then"},
)
_REFUSALS = (*conditions.REFUSALS, RevisionUnknown, Stale, DocumentInvalid)


class ProfileRevisionList(Resource):
    @operation(
        summary="List the revisions of a profile",
        query=pages.PARAMETERS,
        answers={200: page_of(REVISION)},
        refusals=(ProfileUnknown,),
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Who saved it, when and why; newest first."""
        return _list(self, PROFILE, profile_id)


class ProfileRevisionDetail(Resource):
    @operation(
        summary="Get a revision of a profile",
        answers={200: _WHOLE},
        refusals=(ProfileUnknown, RevisionUnknown),
    )
    def get(self, request: Request, profile_id: str, number: int) -> Response:
        """Who saved it, with the whole document."""
        return Response(_WHOLE.of(history.find(PROFILE, profile_id, number, actor=self.actor)))


class ProfileRevisionRestore(Resource):
    @operation(
        summary="Restore a revision of a profile",
        scope=Scope.CONFIGURE,
        body=parsing.WITH_REASON,
        headers=conditions.HEADERS,
        answers={200: PROFILE_SCHEMA, 201: PROFILE_SCHEMA},
        refusals=(ProfileUnknown, *_REFUSALS),
    )
    def post(self, request: Request, profile_id: str, number: int) -> Response:
        """Save its document again, if If-Match names the current revision.

        `If-None-Match: *` restores a hidden profile.
        """
        return _restore(self, PROFILE, profile_id, number)


class RunProfileRevisionList(Resource):
    @operation(
        summary="List the revisions of a run profile",
        query=pages.PARAMETERS,
        answers={200: page_of(REVISION)},
        refusals=(RunProfileUnknown,),
    )
    def get(self, request: Request, run_profile_id: str) -> Response:
        """Who saved it, when and why; newest first."""
        return _list(self, RUN_PROFILE, run_profile_id)


class RunProfileRevisionDetail(Resource):
    @operation(
        summary="Get a revision of a run profile",
        answers={200: _WHOLE},
        refusals=(RunProfileUnknown, RevisionUnknown),
    )
    def get(self, request: Request, run_profile_id: str, number: int) -> Response:
        """Who saved it, with the whole document."""
        revision = history.find(RUN_PROFILE, run_profile_id, number, actor=self.actor)
        return Response(_WHOLE.of(revision))


class RunProfileRevisionRestore(Resource):
    @operation(
        summary="Restore a revision of a run profile",
        scope=Scope.CONFIGURE,
        body=parsing.WITH_REASON,
        headers=conditions.HEADERS,
        answers={200: RUN_PROFILE_SCHEMA, 201: RUN_PROFILE_SCHEMA},
        refusals=(RunProfileUnknown, *_REFUSALS),
    )
    def post(self, request: Request, run_profile_id: str, number: int) -> Response:
        """Save its document again, if If-Match names the current revision.

        `If-None-Match: *` restores a hidden run profile.
        """
        return _restore(self, RUN_PROFILE, run_profile_id, number)


def _list(resource: Resource, kind: AnyKind, name: str) -> Response:
    rows = history.revisions(kind, name, actor=resource.actor).defer("document")
    return pages.respond(resource.request, rows, REVISION.of, query=resource.query, key=("number",))


def _restore(resource: Resource, kind: AnyKind, name: str, number: int) -> Response:
    expected = conditions.expected(resource.request)
    edited = edit.roll_back(
        kind,
        name,
        number,
        actor=resource.actor,
        source="api",
        expected=expected,
        reason=resource.body()["reason"],
    )
    return profiles.saved(edited)
