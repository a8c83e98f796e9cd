"""The API's document says what the resources declare."""

from typing import Any

import pytest
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.kernel.errors import Kind, OrbitError
from governance.rest import openapi, pages, parsing, queries, schemas
from governance.rest.resources import Resource


class Busy(OrbitError):
    """The thing is busy."""

    code, kind = "thing_busy", Kind.CONFLICT


THING = schemas.record(
    "Thing", id=schemas.UUID, name=schemas.maybe(schemas.TEXT), optional=("name",)
)


class Things(Resource):
    """All things. In pages."""

    parameters = {
        "GET": {"name": queries.text, "since": queries.needed(queries.moment), **pages.PARAMETERS}
    }
    answers = {"GET": {200: schemas.page(THING)}}

    def get(self, request: Request) -> Response:
        """Answer ``{results}``."""
        return Response()


class Poke(Resource):
    """A poke at one thing."""

    scopes = {"POST": Scope.OPERATE}
    parameters = {"POST": {}}
    bodies = {"POST": parsing.closed_object({"reason": parsing.REASON}, required=("reason",))}
    request_headers = {"POST": {"Idempotency-Key": schemas.TEXT}}
    answers = {"POST": {202: THING}}
    refusals = {"POST": (Busy,)}

    def post(self, request: Request, thing_id: str) -> Response:
        """Poke it."""
        return Response()


class Open(Resource):
    """What everybody may read."""

    permission_classes = []
    parameters = {"GET": {}}
    answers = {"GET": {200: schemas.PLAIN_TEXT}}

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response()


PATTERNS = [
    path("things", Things.as_view()),
    path("things/<uuid:thing_id>/poke", Poke.as_view()),
    path("open", Open.as_view()),
]


@pytest.fixture
def made() -> dict[str, Any]:
    return openapi.document(PATTERNS, head={"openapi": "3.1.0"}, others={"/other": {"get": {}}})


def test_an_operation_has_its_parameters_with_what_their_readers_accept(
    made: dict[str, Any],
) -> None:
    found = {one["name"]: one for one in made["paths"]["/things"]["get"]["parameters"]}
    assert found["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200}
    assert (
        found["since"]["required"],
        found["name"]["required"],
        found["since"]["schema"]["format"],
    ) == (True, False, "date-time")
    poke = made["paths"]["/things/{thing_id}/poke"]["post"]["parameters"]
    assert [(one["name"], one["in"], one["required"]) for one in poke] == [
        ("thing_id", "path", True),
        ("Idempotency-Key", "header", False),
    ]
    assert poke[0]["schema"]["format"] == "uuid"


def test_an_operation_has_its_body_its_power_and_its_words(made: dict[str, Any]) -> None:
    poke = made["paths"]["/things/{thing_id}/poke"]["post"]
    assert poke["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": Poke.bodies["POST"]}},
    }
    assert (poke["summary"], poke["description"], poke["operationId"]) == (
        "A poke at one thing.",
        "Poke it. Needs `operate`.",
        "post_things_by_thing_id_poke",
    )
    assert made["paths"]["/things"]["get"]["description"] == "Answer `{results}`. Needs `read`."


def test_refusals_stand_with_their_code_and_words(made: dict[str, Any]) -> None:
    answers = made["paths"]["/things/{thing_id}/poke"]["post"]["responses"]
    assert answers["409"]["description"] == "`thing_busy`: The thing is busy."
    assert answers["409"]["content"]["application/problem+json"]["schema"]["allOf"][1] == {
        "properties": {"code": {"enum": ["thing_busy"]}}
    }
    assert {
        "202",
        "400",
        "401",
        "403",
        "404",
        "406",
        "409",
        "411",
        "413",
        "415",
        "422",
        "429",
        "503",
    } == answers.keys()
    assert "invalid_cursor" in made["paths"]["/things"]["get"]["responses"]["400"]["description"]


def test_what_is_open_refuses_nobody_for_want_of_a_token(made: dict[str, Any]) -> None:
    found = made["paths"]["/open"]["get"]
    assert found["security"] == []
    assert "403" not in found["responses"]
    assert list(found["responses"]["200"]["content"]) == ["text/plain"]


def test_a_titled_record_is_described_once(made: dict[str, Any]) -> None:
    assert made["components"]["schemas"]["Thing"] == {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "name": {"type": ["string", "null"]},
        },
        "required": ["id"],
    }
    answer = made["paths"]["/things/{thing_id}/poke"]["post"]["responses"]["202"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert made["paths"]["/other"] == {"get": {}}


def test_what_is_read_as_json_may_be_asked_for_changes(made: dict[str, Any]) -> None:
    read, text, written = (
        made["paths"]["/things"]["get"],
        made["paths"]["/open"]["get"],
        made["paths"]["/things/{thing_id}/poke"]["post"],
    )
    assert ["304" in one["responses"] for one in (read, text, written)] == [True, False, False]
    assert read["parameters"][-1]["name"] == "If-None-Match"


def test_two_records_of_one_name_are_refused() -> None:
    class Other(Things):
        """Others."""

        answers = {"GET": {200: schemas.record("Thing", id=schemas.TEXT)}}

    with pytest.raises(ValueError, match="Thing"):
        openapi.document([*PATTERNS, path("others", Other.as_view())], head={}, others={})
