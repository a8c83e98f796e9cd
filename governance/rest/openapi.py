"""The API's document (OpenAPI 3.1), made from what the resources declare: nothing is written twice, so nothing can differ.

Most of it is our own JSON Schemas, which OpenAPI 3.1 takes as they are; what is left is this walk over the addresses.
"""

import http
import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.urls import URLPattern, URLResolver

from governance.access.roles import Scope
from governance.kernel.errors import OrbitError
from governance.kernel.strict_json import StrictJsonError
from governance.rest import problem
from governance.rest.pages import PARAMETERS, CursorInvalid
from governance.rest.parsing import BodyInvalid, BodyTooLarge
from governance.rest.queries import ParameterInvalid
from governance.rest.resources import Resource
from governance.rest.schemas import TEXT, Schema, many, record

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CONVERTED: dict[str, Schema] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
}
_NAMED: Schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
_PART = re.compile(r"<(?:(\w+):)?(\w+)>")

_FAULT = record(
    "Fault",
    optional=("file",),
    file={
        "type": "string",
        "description": "which part of the configuration, where it isn't about the request",
    },
    pointer={"type": "string", "description": "a JSON pointer (RFC 6901)"},
    detail=TEXT,
)
PROBLEM = record(
    "Problem",
    optional=("errors",),
    type={"const": "about:blank"},
    title=TEXT,
    status={"type": "integer"},
    detail={"type": "string", "description": "what, where, how to mend"},
    code={"type": "string", "description": "what was refused: stable, for programs"},
    errors=many(_FAULT),
    request_id=TEXT,
)
#: What every operation may be refused with, by status.
_ALWAYS: dict[int, dict[str, str]] = {
    400: {"malformed": "The request can't be read."},
    401: {
        "unauthenticated": "There is no token and no session.",
        "invalid_token": "The token is unknown, revoked or expired.",
    },
    403: {"forbidden": "This needs a permission that you don't have."},
    406: {"not_acceptable": "Answers are application/json: accept that."},
    429: {"throttled": "Too many requests: wait for as many seconds as Retry-After says."},
    503: {"database_unavailable": "The database doesn't answer now. Try again."},
}
_OF_BODIES: dict[int, dict[str, str]] = {
    411: {"refused": "Send the body with a Content-Length."},
    415: {"unsupported_media_type": "Send the body as application/json."},
}


def walk(
    patterns: Iterable[URLPattern | URLResolver], before: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    """Yield every address below ``patterns`` as a route such as ``cycles/<uuid:cycle_id>``, with its pattern."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, before + str(pattern.pattern))
        else:
            yield before + str(pattern.pattern), pattern


def resource_of(pattern: URLPattern) -> type[Resource] | None:
    """Return the resource that answers at ``pattern``, None where something else does."""
    found = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
    return found if isinstance(found, type) and issubclass(found, Resource) else None


def methods_of(resource: type[Resource]) -> list[str]:
    """Return the methods that ``resource`` answers to."""
    return [method for method in METHODS if hasattr(resource, method.lower())]


def needed(resource: type[Resource], method: str) -> Scope | None:
    """Return the power that ``method`` needs, None where the resource is open to all."""
    return resource.scopes.get(method, Scope.READ) if resource.permission_classes else None


def document(
    patterns: Iterable[URLPattern | URLResolver],
    *,
    head: Mapping[str, Any],
    others: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the document of all resources at ``patterns``; ``others`` are the paths that no resource serves, as they stand in it."""
    paths: dict[str, dict[str, Any]] = {path: dict(item) for path, item in others.items()}
    for route, pattern in walk(patterns):
        resource = resource_of(pattern)
        if resource is not None:
            paths[path_of(route)] = {
                method.lower(): _operation(route, resource, method)
                for method in methods_of(resource)
            }
    records: dict[str, Any] = {}
    kept = _referred({path: paths[path] for path in sorted(paths)}, records)
    _referred([PROBLEM], records)
    named = {"responses": _common(), "schemas": {name: records[name] for name in sorted(records)}}
    return {**head, "paths": kept, "components": {**head.get("components", {}), **named}}


def path_of(route: str) -> str:
    """Return a route's path in the document, such as ``/cycles/{cycle_id}``."""
    return "/" + _PART.sub(r"{\2}", route)


def _operation(route: str, resource: type[Resource], method: str) -> dict[str, Any]:
    scope, body = needed(resource, method), resource.bodies.get(method)
    described = inspect.cleandoc(getattr(resource, method.lower()).__doc__ or "")
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_"
        + re.sub(r"\W+", "_", _PART.sub(r"by_\2", route)).strip("_"),
        "tags": [route.partition("/")[0]],
        "summary": _plain(inspect.cleandoc(resource.__doc__ or "").partition("\n")[0]),
        "description": f"{_plain(described)} Needs `{scope}`." if scope else _plain(described),
        "parameters": _parameters(route, resource, method),
        "responses": {},
    }
    if scope is None:
        operation["security"] = []
    if body is not None:
        operation["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": body}},
        }
    for status, schema in resource.answers.get(method, {}).items():
        operation["responses"][str(status)] = _answer(status, schema)
    if method == "GET" and all(
        _media_type(schema) == "application/json"
        for schema in resource.answers.get(method, {}).values()
    ):
        operation["parameters"].append(_IF_NONE_MATCH)
        operation["responses"]["304"] = {"description": _GOOD[304]}
    for status, codes in sorted(
        refusals(resource, method, parts=bool(_PART.search(route))).items()
    ):
        operation["responses"][str(status)] = _refusal(status, codes)
    return operation


def refusals(resource: type[Resource], method: str, *, parts: bool) -> dict[int, dict[str, str]]:
    """Return every refusal of ``method`` by status and code; ``parts``: the address has parts that may name nothing."""
    found: defaultdict[int, dict[str, str]] = defaultdict(dict)
    errors: list[type[OrbitError]] = list(resource.refusals.get(method, ()))
    known = [_ALWAYS]
    if needed(resource, method) is None:
        known = [
            {status: codes for status, codes in _ALWAYS.items() if status not in {401, 403}},
            {401: {"invalid_token": _ALWAYS[401]["invalid_token"]}},
        ]
    if method in resource.bodies:
        known.append(_OF_BODIES)
        errors += [StrictJsonError, BodyTooLarge, BodyInvalid]
    if method in resource.parameters:
        errors.append(ParameterInvalid)
        errors += [CursorInvalid] if PARAMETERS.keys() <= resource.parameters[method].keys() else []
    if parts:
        known.append({404: {"not_found": "There is nothing here."}})
    for group in known:
        for status, codes in group.items():
            found[status].update(codes)
    for error in errors:
        found[problem.STATUS[error.kind]][error.code] = _plain(
            (error.__doc__ or "").strip().partition("\n")[0]
        )
    return dict(found)


def _parameters(route: str, resource: type[Resource], method: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _CONVERTED.get(kind, _NAMED)}
        for kind, name in _PART.findall(route)
    ]
    for name, reader in resource.parameters.get(method, {}).items():
        found.append(
            {"name": name, "in": "query", "required": reader.required, "schema": reader.schema}
        )
    for name, schema in resource.request_headers.get(method, {}).items():
        found.append({"name": name, "in": "header", "required": False, "schema": schema})
    return found


def _answer(status: int, schema: Schema) -> dict[str, Any]:
    described = {"description": _GOOD.get(status, "Done.")}
    if schema.get("type") == "null":
        return described
    return {**described, "content": {_media_type(schema): {"schema": schema}}}


def _media_type(schema: Schema) -> str:
    found: str = schema.get("contentMediaType", "application/json")
    return found


#: What ``etags`` reads of every GET.
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "description": "the ETag of what is there"},
}
_GOOD = {
    200: "As asked.",
    201: "Made.",
    202: "Accepted: it goes on by itself.",
    304: "Unchanged since the ETag that was sent.",
}


def _common() -> dict[str, Any]:
    """Return the refusals that most operations have in common, by name."""
    return {
        _name(status): _described(status, codes)
        for status, codes in sorted({**_ALWAYS, **_OF_BODIES}.items())
    }


def _name(status: int) -> str:
    return http.HTTPStatus(status).phrase.replace(" ", "")


def _refusal(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    if codes == {**_ALWAYS, **_OF_BODIES}.get(status):
        return {"$ref": f"#/components/responses/{_name(status)}"}
    return _described(status, codes)


def _described(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    words = " ".join(f"`{code}`: {text}" for code, text in sorted(codes.items()))
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"code": {"enum": sorted(codes)}}},
        ]
    }
    found: dict[str, Any] = {
        "description": words,
        "content": {problem.CONTENT_TYPE: {"schema": schema}},
    }
    if status == 429:
        found["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}
        }
    return found


def _referred(part: Any, components: dict[str, Any]) -> Any:
    """Return ``part`` with every titled record replaced by a reference; the records go into ``components``."""
    if isinstance(part, list | tuple):
        return [_referred(item, components) for item in part]
    if not isinstance(part, Mapping):
        return part
    title = part.get("title")
    inside = {
        name: _referred(value, components)
        for name, value in part.items()
        if not (name == "title" and isinstance(title, str))
    }
    if not isinstance(title, str) or part.get("type") != "object":
        return {**inside, "title": title} if isinstance(title, str) else inside
    known = components.setdefault(title, inside)
    if known != inside:
        raise ValueError(f"Two records are called {title}.")
    return {"$ref": f"#/components/schemas/{title}"}


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
