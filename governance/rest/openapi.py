"""The API's document (OpenAPI 3.1), made from the ``@operation`` of every resource."""

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
from governance.rest.resources import Declaration, Resource
from governance.rest.schemas import TEXT, Schema, many, record

_CONVERTED: dict[str, Schema] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
}
_NAME: Schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
_PART = re.compile(r"<(?:(\w+):)?(\w+)>")

_FAULT = record(
    "Fault",
    optional=("file",),
    file={
        "type": "string",
        "description": "the configuration file or variable, if the error isn't in the request",
    },
    pointer={"type": "string", "description": "a JSON pointer (RFC 6901)"},
    detail=TEXT,
)
PROBLEM = record(
    "Problem",
    optional=("errors", "errors_left_out"),
    type={"const": "about:blank"},
    title=TEXT,
    status={"type": "integer"},
    detail={"type": "string", "description": "what happened and what to do"},
    code={"type": "string", "description": "the refusal: stable, for programs"},
    errors=many(_FAULT),
    errors_left_out={"type": "integer", "description": "how many more were found"},
    request_id=TEXT,
)
#: The refusals of every operation, by status and code.
_ALWAYS: dict[int, dict[str, str]] = {
    400: {"malformed": "The request can't be read."},
    401: {
        "unauthenticated": "There is no token and no session.",
        "invalid_token": "The token is unknown, revoked or expired.",
    },
    403: {"forbidden": "This needs a permission that you don't have."},
    406: {"not_acceptable": "Answers are application/json: accept that."},
    429: {"throttled": "Too many requests: wait as many seconds as Retry-After says."},
    503: {"database_unavailable": "The database doesn't answer now. Try again."},
}
_OPEN = {
    **{status: codes for status, codes in _ALWAYS.items() if status not in {401, 403}},
    401: {"invalid_token": _ALWAYS[401]["invalid_token"]},
}
_OF_BODIES: dict[int, dict[str, str]] = {
    411: {"refused": "Send the body with a Content-Length."},
    415: {"unsupported_media_type": "Send the body as application/json."},
}
_OF_UPLOADS: dict[int, dict[str, str]] = {
    **_OF_BODIES,
    415: {"unsupported_media_type": "Send the body as one of the listed media types."},
}
_OF_PARTS = {404: {"not_found": "There is nothing here."}}
#: The header that ``etags`` reads of every GET.
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "description": "the ETag of the answer that you have"},
}
_GOOD = {
    200: "OK.",
    201: "Created.",
    202: "Accepted: the work goes on in the background.",
    304: "Unchanged since the ETag that you sent.",
}


def walk(
    patterns: Iterable[URLPattern | URLResolver], before: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    """Yield every pattern with its route, such as ``cycles/<uuid:cycle_id>``."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, before + str(pattern.pattern))
        else:
            yield before + str(pattern.pattern), pattern


def resource_of(pattern: URLPattern) -> type[Resource] | None:
    """Return the Resource routed at ``pattern``, or None."""
    view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
    return view if isinstance(view, type) and issubclass(view, Resource) else None


def scopes_of(resource: type[Resource], method: str) -> tuple[Scope, ...]:
    """Return the scopes of which ``method`` needs one; none if it is public."""
    return resource.operations[method].scopes if resource.permission_classes else ()


def document(
    patterns: Iterable[URLPattern | URLResolver],
    *,
    head: Mapping[str, Any],
    others: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the document of all resources at ``patterns``, and of ``others``."""
    paths: dict[str, dict[str, Any]] = {path: dict(item) for path, item in others.items()}
    for route, pattern in walk(patterns):
        resource = resource_of(pattern)
        if resource is not None:
            paths[path_of(route)] = {
                method.lower(): _operation(route, resource, method)
                for method in resource.operations
            }
    records: dict[str, Any] = {}
    referring = _with_references({path: paths[path] for path in sorted(paths)}, records)
    _with_references([PROBLEM], records)
    named = {"responses": _common(), "schemas": {name: records[name] for name in sorted(records)}}
    return {**head, "paths": referring, "components": {**head.get("components", {}), **named}}


def path_of(route: str) -> str:
    """Return a route's path in the document, such as ``/cycles/{cycle_id}``."""
    return "/" + _PART.sub(r"{\2}", route)


def _operation(route: str, resource: type[Resource], method: str) -> dict[str, Any]:
    declared, scopes = resource.operations[method], scopes_of(resource, method)
    described = _plain(inspect.cleandoc(declared.description))
    needed = " or ".join(f"`{scope}`" for scope in scopes)
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_"
        + re.sub(r"\W+", "_", _PART.sub(r"by_\2", route)).strip("_"),
        "tags": [route.partition("/")[0]],
        "summary": declared.summary,
        "description": f"{described} Needs {needed}." if scopes else described,
        "parameters": _parameters(route, declared),
        "responses": {},
    }
    if not scopes:
        operation["security"] = []
    if declared.body is not None:
        operation["requestBody"] = {
            "required": bool(declared.body.get("required")),
            "content": {"application/json": {"schema": declared.body}},
        }
    elif declared.uploads:
        operation["requestBody"] = {
            "required": True,
            "content": {
                media_type: {"schema": schema} for media_type, schema in declared.uploads.items()
            },
        }
    for status, schema in declared.answers.items():
        operation["responses"][str(status)] = _answer(status, schema)
    if method == "GET" and all(
        _media_type(schema) == "application/json" for schema in declared.answers.values()
    ):
        operation["parameters"].append(_IF_NONE_MATCH)
        operation["responses"]["304"] = {"description": _GOOD[304]}
    by_status = _refusals(declared, scopes, has_parts=bool(_PART.search(route)))
    for status, codes in sorted(by_status.items()):
        operation["responses"][str(status)] = _refusal(status, codes)
    return operation


def _refusals(
    declared: Declaration, scopes: tuple[Scope, ...], *, has_parts: bool
) -> dict[int, dict[str, str]]:
    groups = [_ALWAYS if scopes else _OPEN]
    errors: list[type[OrbitError]] = [*declared.refusals, ParameterInvalid]
    if declared.body is not None:
        groups.append(_OF_BODIES)
        errors += [StrictJsonError, BodyTooLarge, BodyInvalid]
    elif declared.uploads:
        groups.append(_OF_UPLOADS)
        errors.append(BodyTooLarge)
    if PARAMETERS.keys() <= declared.query.keys():
        errors.append(CursorInvalid)
    if has_parts:
        groups.append(_OF_PARTS)
    by_status: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for group in groups:
        for status, codes in group.items():
            by_status[status].update(codes)
    for error in errors:
        text = (error.__doc__ or "").strip().partition("\n")[0]
        by_status[problem.STATUS[error.kind]][error.code] = _plain(text)
    return dict(by_status)


def _parameters(route: str, declared: Declaration) -> list[dict[str, Any]]:
    return [
        *(
            _parameter(name, "path", _CONVERTED.get(kind, _NAME), required=True)
            for kind, name in _PART.findall(route)
        ),
        *(
            _parameter(name, "query", reader.schema, required=reader.required)
            for name, reader in declared.query.items()
        ),
        *(_parameter(name, "header", schema) for name, schema in declared.headers.items()),
    ]


def _parameter(name: str, place: str, schema: Schema, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _answer(status: int, schema: Schema) -> dict[str, Any]:
    described = {"description": _GOOD.get(status, "Done.")}
    if schema.get("type") == "null":
        return described
    return {**described, "content": {_media_type(schema): {"schema": schema}}}


def _media_type(schema: Schema) -> str:
    return str(schema.get("contentMediaType", "application/json"))


def _common() -> dict[str, Any]:
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
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"code": {"enum": sorted(codes)}}},
        ]
    }
    response: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {text}" for code, text in sorted(codes.items())),
        "content": {problem.CONTENT_TYPE: {"schema": schema}},
    }
    if status in {429, 503}:
        response["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}
        }
    return response


def _with_references(part: Any, components: dict[str, Any]) -> Any:
    """Move each titled record to ``components``. Raises ValueError if two share a title."""
    if isinstance(part, list | tuple):
        return [_with_references(item, components) for item in part]
    if not isinstance(part, Mapping):
        return part
    title = part.get("title")
    inside = {
        name: _with_references(value, components)
        for name, value in part.items()
        if not (name == "title" and isinstance(title, str))
    }
    if not isinstance(title, str) or part.get("type") != "object":
        return {**inside, "title": title} if isinstance(title, str) else inside
    if components.setdefault(title, inside) != inside:
        raise ValueError(f"Two records have the title {title}.")
    return {"$ref": f"#/components/schemas/{title}"}


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
