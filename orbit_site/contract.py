"""The API's document: ``/api/schema`` for programs, ``/api/docs`` for readers.

All of it is public, as the source is.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import get_resolver
from rest_framework.request import Request
from rest_framework.response import Response

from governance.rest import openapi, problem, schemas
from governance.rest.resources import Resource, operation
from orbit_site import health

_DESCRIPTION = """
A self-hosted control plane for unattended work. The guide is docs/api.md: tokens, errors, pages,
idempotency, conditional requests, limits. Every answer has an `X-Request-ID`; errors are
`application/problem+json` with a stable `code`.
"""
_STATUS = schemas.one_of((health.OK, health.DEGRADED, health.FAILED))
_READY = schemas.record(
    status=schemas.one_of(("ready", "not_ready")),
    checks=schemas.record(**dict.fromkeys(health.CHECKS, _STATUS)),
)


def _probe(
    operation_id: str,
    summary: str,
    description: str,
    answers: dict[str, tuple[str, schemas.Schema]],
    *parameters: dict[str, Any],
) -> dict[str, Any]:
    """Return the path item of a public page."""
    operation = {
        "operationId": operation_id,
        "tags": ["processes"],
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": list(parameters),
        "responses": {
            status: {"description": words, "content": {"application/json": {"schema": schema}}}
            for status, (words, schema) in answers.items()
        },
    }
    return {"get": operation}


#: Not resources: these must answer whatever state the rest is in.
_OTHERS = {
    "/health": _probe(
        "get_health",
        "Check that the process is up",
        "Doesn't ask the database.",
        {"200": ("Up.", schemas.record(status=schemas.one_of([health.OK])))},
    ),
    "/ready": _probe(
        "get_ready",
        "Check that the process can work",
        "Checks database, migrations and configuration. A missing cluster counts with "
        "`cluster=1` only.",
        {"200": ("Ready.", _READY), "503": ("Not ready: see `checks`.", _READY)},
        {
            "name": "cluster",
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": "`1`: a missing cluster counts too",
        },
    ),
}
_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, made with `manage.py token create`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The console's session; writes need `X-CSRFToken` too.",
    },
}


@functools.cache
def document() -> dict[str, Any]:
    """Return the API's document."""
    head = {
        "openapi": "3.1.0",
        "info": {
            "title": "Orbit",
            "version": settings.ORBIT_VERSION,
            "description": " ".join(_DESCRIPTION.split()),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in _SCHEMES],
        "components": {"securitySchemes": _SCHEMES},
    }
    return openapi.document(get_resolver().url_patterns, head=head, others=_OTHERS)


def as_file() -> str:
    """Return docs/openapi.json."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


class ApiDocument(Resource):
    """``/api/schema``."""

    permission_classes = []

    @operation(summary="Get the API's document", answers={200: schemas.FREE})
    def get(self, request: Request) -> Response:
        """This document (OpenAPI 3.1)."""
        return Response(document())


def _only_read(view: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    @functools.wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            return view(request)
        return problem.not_allowed(request.method, "GET, HEAD")

    return answer


@_only_read
def page(request: HttpRequest) -> HttpResponse:
    """Show the document in Swagger UI."""
    return render(request, "api/docs.html", {"info": document()["info"]})


@_only_read
def plain(request: HttpRequest) -> HttpResponse:
    """Show the document as a page without scripts."""
    return render(
        request,
        "api/plain.html",
        {"info": document()["info"], "groups": _groups(), "records": _records()},
    )


@_only_read
def guide(request: HttpRequest) -> HttpResponse:
    """Return docs/api.md as text."""
    text = (settings.BASE_DIR / "docs" / "api.md").read_bytes()
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@functools.cache
def _groups() -> list[dict[str, Any]]:
    """Return the operations by tag."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in document()["paths"].items():
        for method, described in item.items():
            entry = {
                **described,
                "method": method.upper(),
                "path": path,
                "body": _schema_text(described.get("requestBody")),
                "answers": [
                    {
                        "status": status,
                        "description": answer["description"],
                        "good": status < "300",
                        "schema": _schema_text(answer) if status < "300" else "",
                    }
                    for status, answer in _resolved(described["responses"])
                ],
                "inputs": [
                    {**parameter, "text": _compact(parameter["schema"])}
                    for parameter in described["parameters"]
                ],
            }
            groups.setdefault(described["tags"][0], []).append(entry)
    return [{"name": name, "operations": groups[name]} for name in sorted(groups)]


def _resolved(answers: dict[str, Any]) -> list[tuple[str, Any]]:
    common = document()["components"]["responses"]
    return [
        (status, common[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer)
        for status, answer in answers.items()
    ]


def _records() -> list[dict[str, str]]:
    return [
        {"name": name, "text": json.dumps(schema, indent=2)}
        for name, schema in document()["components"]["schemas"].items()
    ]


def _schema_text(part: dict[str, Any] | None) -> str:
    for content in (part or {}).get("content", {}).values():
        return json.dumps(content["schema"], indent=2)
    return ""


def _compact(schema: dict[str, Any]) -> str:
    kept = {name: value for name, value in schema.items() if name != "description"}
    return json.dumps(kept, ensure_ascii=True)[1:-1]
