"""Bodies read strictly: bounded, JSON only, and refused as a whole where anything in them isn't as it must be."""

from datetime import datetime
from typing import Any

from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from governance.kernel import schemas, strict_json
from governance.kernel.errors import Kind, OrbitError
from governance.rest import queries

LIMIT = 1024 * 1024
MAX_DEPTH = 64


class BodyTooLarge(OrbitError):
    """The body is over the limit of 1 MiB."""

    code, kind = "body_too_large", Kind.TOO_LARGE


class BodyInvalid(OrbitError):
    """The body isn't what is expected here."""

    code, kind = "invalid_body", Kind.INVALID


class LengthRequired(exceptions.APIException):
    """A body without Content-Length, which can't be read here and must not be taken for an empty one."""

    status_code = 411
    default_detail = "Send the body with a Content-Length."


def raw_body(request: Request) -> bytes:
    """Return the body as it came. Raises BodyTooLarge before reading, LengthRequired for a chunked one, 415 for an encoded one."""
    if request.headers.get("Transfer-Encoding"):
        raise LengthRequired
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise exceptions.UnsupportedMediaType(request.headers["Content-Encoding"])
    length = request.headers.get("content-length") or "0"
    if (
        not length.isascii()
        or not length.isdigit()
        or len(length) > len(str(LIMIT))
        or int(length) > LIMIT
    ):
        raise BodyTooLarge
    body: bytes = request._request.body
    return body


class StrictJSONParser(BaseParser):
    """The one parser of the API."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the document; raises StrictJsonError or BodyTooLarge."""
        return strict_json.loads(raw_body(parser_context["request"]), max_depth=MAX_DEPTH)


def document(request: Request, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the body as an object that fits ``schema``; an empty body is an empty object.

    Raises BodyInvalid with a pointer for each error, 415 for another content type, and what ``raw_body`` and the parser raise.
    """
    raw_body(request)
    data = request.data if request._request.body else {}
    errors = schemas.problems(schema, data)
    if errors:
        raise BodyInvalid(
            f"{len(errors)} thing{'s' if len(errors) > 1 else ''} in the body can't be accepted.",
            errors=errors,
        )
    checked: dict[str, Any] = dict(data)
    return checked


def closed_object(properties: dict[str, Any], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of an object with these members and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


#: Why somebody does something: some text, visible, not without end.
REASON = {"type": "string", "maxLength": 2000, "pattern": r"\S", "description": "a reason in words"}
#: The same where none is needed.
REASON_IF_ANY = {"type": ["string", "null"], "maxLength": 2000}
#: A time to come, until when something holds; null is without end. ``moment`` reads it.
UNTIL = {"type": ["string", "null"], "maxLength": 50}


def moment(sent: dict[str, Any], name: str) -> datetime | None:
    """Return the member ``name`` of a body as a time with its zone, None where it is null or not there. Raises BodyInvalid with its pointer."""
    if sent.get(name) is None:
        return None
    try:
        found: datetime = queries.moment(sent[name])
    except ValueError as error:
        raise BodyInvalid(
            f"{name} {error}.", errors=[{"pointer": f"/{name}", "detail": f"This {error}."}]
        ) from None
    return found
