"""The API's document and its page: public, complete, without foreign resources."""

import json
import re

import pytest
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.test import Client
from jsonschema import Draft202012Validator

from orbit_site import contract
from tests.support import contract as held


def test_the_document_is_open_to_all_and_its_schemas_are_schemas(db: None) -> None:
    answer = Client().get("/api/schema")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    assert {
        "/cycles/trigger",
        "/cycles/{cycle_id}",
        "/health",
        "/ready",
        "/metrics",
        "/api/schema",
    } <= document["paths"].keys()
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_of_the_document_leads_somewhere() -> None:
    whole = contract.document()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole)):
        part = whole
        for step in reference.split("/"):
            part = part[step]


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [
        operation["operationId"]
        for item in contract.document()["paths"].values()
        for operation in item.values()
    ]
    assert len(names) == len(set(names))


PAGES = ["/api/docs", "/api/docs/plain", "/api/docs/guide"]


def test_a_page_shows_every_operation_without_scripts() -> None:
    answer = Client().get("/api/docs/plain")
    text = answer.content.decode()
    assert answer.status_code == 200
    for path in contract.document()["paths"]:
        assert path in text
    assert "<script" not in text


def test_the_reference_leads_to_the_guide_and_to_the_page_without_scripts() -> None:
    text = Client().get("/api/docs").content.decode()
    assert 'href="/api/docs/plain"' in text.partition("<noscript>")[2]
    assert 'href="/api/docs/guide"' in text
    guide = Client().get("/api/docs/guide")
    assert guide.content == (settings.BASE_DIR / "docs" / "api.md").read_bytes()
    assert guide.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_ask_nothing_of_another_host(path: str) -> None:
    answer = Client().get(path)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert not re.search(r"<script(?![^>]* src=)", text)
    assert "style=" not in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_are_only_to_be_read(path: str) -> None:
    answer = Client().post(path)
    assert (answer.status_code, answer.json()["code"], answer.headers["Allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (JsonResponse({"results": [], "next": None, "previous": None}), []),
        (JsonResponse({"results": [], "next": None}), ["'previous' is a required property"]),
        (
            JsonResponse({"results": [], "next": None, "previous": None, "more": 1}),
            ["'more' was unexpected"],
        ),
        (
            JsonResponse({"results": [{"id": 1}], "next": None, "previous": None}),
            ["is not of type 'string'"],
        ),
        (HttpResponse("x", content_type="text/plain"), ["as 'text/plain' isn't documented"]),
        (HttpResponse(status=418), ["418 isn't documented"]),
        (
            JsonResponse(
                {"code": "cycle_active"}, status=400, content_type="application/problem+json"
            ),
            ["is not one of", "'detail' is a required property"],
        ),
    ],
)
def test_the_tests_hold_every_answer_against_the_document(
    response: HttpResponse, words: list[str]
) -> None:
    faults = held.faults("GET", "/cycles?limit=1", response)
    assert bool(faults) == bool(words)
    for text in words:
        assert any(text in fault for fault in faults)
