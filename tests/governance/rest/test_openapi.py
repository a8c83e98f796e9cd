"""The API's document says what the resources declare."""

from typing import Any

import pytest
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.roles import Scope
from governance.kernel.errors import Kind, OrbitError
from governance.rest import openapi, pages, parsing, queries, schemas
from governance.rest.fields import Fields, field, optional, page_of
from governance.rest.resources import Resource, operation


class Busy(OrbitError):
    """The thing is busy."""

    code, kind = "thing_busy", Kind.CONFLICT


THING = Fields("Thing", id=schemas.UUID, name=optional(field(schemas.maybe(schemas.TEXT), "name")))
REASON = parsing.closed_object({"reason": parsing.REASON}, required=("reason",))


class ThingList(Resource):
    @operation(
        summary="List things",
        query={
            "name": queries.text,
            "since": queries.required(queries.moment),
            **pages.PARAMETERS,
        },
        answers={200: page_of(THING)},
    )
    def get(self, request: Request) -> Response:
        """Answer ``{results}``."""
        return Response()


class ThingPoke(Resource):
    @operation(
        summary="Poke a thing",
        scope=Scope.OPERATE,
        body=REASON,
        headers={"Idempotency-Key": schemas.TEXT},
        answers={202: THING},
        refusals=(Busy,),
    )
    def post(self, request: Request, thing_id: str) -> Response:
        """Poke it."""
        return Response()


class Open(Resource):
    permission_classes = []

    @operation(summary="Get what is open", answers={200: schemas.PLAIN_TEXT})
    def get(self, request: Request) -> Response:
        """Everybody may."""
        return Response()


PATTERNS = [
    path("things", ThingList.as_view()),
    path("things/<uuid:thing_id>/poke", ThingPoke.as_view()),
    path("open", Open.as_view()),
]


@pytest.fixture
def document() -> dict[str, Any]:
    return openapi.document(PATTERNS, head={"openapi": "3.1.0"}, others={"/other": {"get": {}}})


def test_an_operation_has_its_parameters_with_their_schemas(
    document: dict[str, Any],
) -> None:
    read = {item["name"]: item for item in document["paths"]["/things"]["get"]["parameters"]}
    assert read["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200}
    assert (read["since"]["required"], read["name"]["required"]) == (True, False)
    assert read["since"]["schema"]["format"] == "date-time"
    poke = document["paths"]["/things/{thing_id}/poke"]["post"]["parameters"]
    assert [(item["name"], item["in"], item["required"]) for item in poke] == [
        ("thing_id", "path", True),
        ("Idempotency-Key", "header", False),
    ]
    assert poke[0]["schema"]["format"] == "uuid"


def test_an_operation_has_its_body_its_scope_and_its_texts(document: dict[str, Any]) -> None:
    poke = document["paths"]["/things/{thing_id}/poke"]["post"]
    assert poke["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": REASON}},
    }
    assert (poke["summary"], poke["description"], poke["operationId"]) == (
        "Poke a thing",
        "Poke it. Needs `operate`.",
        "post_things_by_thing_id_poke",
    )
    assert document["paths"]["/things"]["get"]["description"] == "Answer `{results}`. Needs `read`."


def test_refusals_have_their_code_and_text(document: dict[str, Any]) -> None:
    answers = document["paths"]["/things/{thing_id}/poke"]["post"]["responses"]
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
    assert (
        "invalid_cursor" in document["paths"]["/things"]["get"]["responses"]["400"]["description"]
    )


def test_an_open_resource_needs_no_token(document: dict[str, Any]) -> None:
    operation = document["paths"]["/open"]["get"]
    assert operation["security"] == []
    assert "403" not in operation["responses"]
    assert list(operation["responses"]["200"]["content"]) == ["text/plain"]


def test_a_titled_record_is_described_once(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["Thing"] == {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "name": {"type": ["string", "null"]},
        },
        "required": ["id"],
    }
    answer = document["paths"]["/things/{thing_id}/poke"]["post"]["responses"]["202"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert document["paths"]["/other"] == {"get": {}}


def test_a_json_get_has_a_304(document: dict[str, Any]) -> None:
    read, text, written = (
        document["paths"]["/things"]["get"],
        document["paths"]["/open"]["get"],
        document["paths"]["/things/{thing_id}/poke"]["post"],
    )
    assert ["304" in operation["responses"] for operation in (read, text, written)] == [
        True,
        False,
        False,
    ]
    assert read["parameters"][-1]["name"] == "If-None-Match"


def test_two_records_of_one_name_are_refused() -> None:
    class Other(Resource):
        @operation(summary="Get another", answers={200: schemas.record("Thing", id=schemas.TEXT)})
        def get(self, request: Request) -> Response:
            """Another record of that title."""
            return Response()

    with pytest.raises(ValueError, match="Thing"):
        openapi.document([*PATTERNS, path("others", Other.as_view())], head={}, others={})
