"""Compare answers with the API's document."""

import functools
import json
import re
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from orbit_site import contract

ROOT = "urn:orbit"


def faults(method: str, path: str, response: Any) -> list[str]:
    """Return what isn't documented in ``response``."""
    operation = _operation(method, path.partition("?")[0])
    # Unknown paths and 405 aren't documented.
    if (
        operation is None
        or response.status_code == 405
        or not isinstance(getattr(response, "content", None), bytes)
    ):
        return []
    answer = operation["responses"].get(str(response.status_code))
    if answer is None:
        return [
            f"{method} {path}: {response.status_code} isn't documented: {response.content[:300]!r}"
        ]
    answer = (
        contract.document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if "$ref" in answer
        else answer
    )
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if media_type not in answer.get("content", {}) and response.content:
        return [f"{method} {path}: {response.status_code} as {media_type!r} isn't documented"]
    if not response.content or not media_type.endswith("json"):
        return []
    errors = _validator(json.dumps(answer["content"][media_type]["schema"])).iter_errors(
        json.loads(response.content)
    )
    return [
        f"{method} {path}: {response.status_code} {error.json_path}: {error.message[:300]}"
        for error in errors
    ]


def _operation(method: str, path: str) -> dict[str, Any] | None:
    name = "get" if method == "HEAD" else method.lower()
    for pattern, item in _patterns():
        if pattern.fullmatch(path):
            operation: dict[str, Any] | None = item.get(name)
            return operation
    return None


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], Any]]:
    # A path without parameters comes before one whose parameter could match its last word.
    paths = sorted(contract.document()["paths"].items(), key=lambda item: item[0].count("{"))
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), item) for path, item in paths
    ]


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(
        _closed(json.loads(schema)),
        registry=_registry(),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


@functools.cache
def _registry() -> Any:
    components = _closed(contract.document()["components"])
    return Registry().with_resource(ROOT, Resource({"components": components}, DRAFT202012))


def _closed(part: Any) -> Any:
    """Close every object of ``schema``: an undocumented member is a fault."""
    if isinstance(part, list):
        return [_closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _closed(value) for name, value in part.items()}
    if "$ref" in closed:
        closed["$ref"] = ROOT + closed["$ref"]
    is_record = closed.get("type") in ("object", ["object", "null"]) and "properties" in closed
    if (
        is_record
        and closed["properties"].keys() != {"code"}
        and "request_id" not in closed["properties"]
    ):
        closed.setdefault("additionalProperties", False)
    return closed
