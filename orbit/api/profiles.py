"""``/profiles`` and ``/run-profiles``: read and edit them."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.rest import pages, queries
from governance.rest.fields import page_of
from governance.rest.resources import Resource, operation
from governance.rest.schemas import inlined
from orbit.api import conditions
from orbit.errors import DocumentInvalid, ProfileUnknown, RunProfileUnknown, Stale
from orbit.profiles import edit, schema
from orbit.profiles.edit import EditResult
from orbit.profiles.kinds import PROFILE, RUN_PROFILE, AnyKind
from orbit.states import ProfileState

#: The edit checks it by the schemas of the files and more, so that all errors come at once.
_DOCUMENT = {"type": "object", "description": "the whole document, as GET answers it"}
_HEADERS = {**conditions.HEADERS, **conditions.REASON}
_PROFILE_FILTERS: dict[str, queries.Reader] = {"state": queries.one_of(ProfileState)}
_RUN_PROFILE_FILTERS: dict[str, queries.Reader] = {
    "state": queries.one_of(ProfileState),
    "namespace": queries.text,
    "profile_id": queries.text.on("profile__profile_id"),
}
PROFILE_SCHEMA = inlined("Profile", schema.of_profile())
RUN_PROFILE_SCHEMA = inlined("RunProfile", schema.of_run_profile())


class ProfileList(Resource):
    @operation(
        summary="List profiles",
        query={**_PROFILE_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(PROFILE_SCHEMA)},
    )
    def get(self, request: Request) -> Response:
        """Whole documents, by id."""
        return _list(self, PROFILE, queries.filters(self.query, _PROFILE_FILTERS))


class ProfileDetail(Resource):
    @operation(summary="Get a profile", answers={200: PROFILE_SCHEMA}, refusals=(ProfileUnknown,))
    def get(self, request: Request, profile_id: str) -> Response:
        """The whole document, with its revision as ETag."""
        return _get(self, PROFILE, profile_id)

    @operation(
        summary="Create or replace a profile",
        scope=Scope.CONFIGURE,
        body=_DOCUMENT,
        headers=_HEADERS,
        answers={200: PROFILE_SCHEMA, 201: PROFILE_SCHEMA},
        refusals=(*conditions.REFUSALS, Stale, DocumentInvalid),
    )
    def put(self, request: Request, profile_id: str) -> Response:
        """Replace it if If-Match names the current revision.

        `If-None-Match: *` creates it.
        """
        return _put(self, PROFILE, profile_id)


class RunProfileList(Resource):
    @operation(
        summary="List run profiles",
        query={**_RUN_PROFILE_FILTERS, **pages.PARAMETERS},
        answers={200: page_of(RUN_PROFILE_SCHEMA)},
    )
    def get(self, request: Request) -> Response:
        """Whole documents, by id."""
        return _list(self, RUN_PROFILE, queries.filters(self.query, _RUN_PROFILE_FILTERS))


class RunProfileDetail(Resource):
    @operation(
        summary="Get a run profile",
        answers={200: RUN_PROFILE_SCHEMA},
        refusals=(RunProfileUnknown,),
    )
    def get(self, request: Request, run_profile_id: str) -> Response:
        """The whole document, with its revision as ETag."""
        return _get(self, RUN_PROFILE, run_profile_id)

    @operation(
        summary="Create or replace a run profile",
        scope=Scope.CONFIGURE,
        body=_DOCUMENT,
        headers=_HEADERS,
        answers={200: RUN_PROFILE_SCHEMA, 201: RUN_PROFILE_SCHEMA},
        refusals=(*conditions.REFUSALS, RunProfileUnknown, Stale, DocumentInvalid),
    )
    def put(self, request: Request, run_profile_id: str) -> Response:
        """Replace it if If-Match names the current revision.

        `If-None-Match: *` creates it.
        """
        return _put(self, RUN_PROFILE, run_profile_id)


def saved(edited: EditResult) -> Response:
    """Answer an edit: the current document, with its revision as ETag."""
    return Response(
        edited.document,
        status=201 if edited.created else 200,
        headers={"ETag": conditions.etag(edited.revision)},
    )


def _list(resource: Resource, kind: AnyKind, filters: dict[str, Any]) -> Response:
    return pages.respond(
        resource.request,
        kind.visible_to(resource.actor).filter(**filters),
        lambda row: row.document,
        query=resource.query,
        key=(kind.key,),
        newest_first=False,
    )


def _get(resource: Resource, kind: AnyKind, name: str) -> Response:
    row = kind.find(name, actor=resource.actor)
    # The revision, not the hash of the answer: If-Match of a PUT names it.
    return Response(row.document, headers={"ETag": conditions.etag(row.revision)})


def _put(resource: Resource, kind: AnyKind, name: str) -> Response:
    expected, reason = conditions.expected(resource.request), conditions.reason(resource.request)
    return saved(
        edit.save(
            kind,
            name,
            resource.body(),
            actor=resource.actor,
            source="api",
            expected=expected,
            reason=reason,
        )
    )
