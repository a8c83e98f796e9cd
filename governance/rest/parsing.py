"""Request bodies, read strictly: bounded, JSON only, accepted or refused as a whole."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from governance.kernel import reasons, schemas, strict_json
from governance.kernel.errors import Kind, OrbitError
from governance.rest import queries
from governance.rest.problem import UploadTypeRefused

MIB = 1024 * 1024
LIMIT = MIB
MAX_DEPTH = 64


class BodyTooLarge(OrbitError):
    """The body is over the limit."""

    code, kind = "body_too_large", Kind.TOO_LARGE


class BodyInvalid(OrbitError):
    """The body doesn't fit the operation's schema."""

    code, kind = "invalid_body", Kind.INVALID


class LengthRequired(exceptions.APIException):
    """A chunked body."""

    status_code = 411
    default_detail = "Send the body with a Content-Length."


def raw_body(request: Request) -> bytes:
    """Return the body's bytes.

    Raises BodyTooLarge before reading, LengthRequired and UnsupportedMediaType (if encoded).
    """
    _check_length(request, LIMIT)
    if encoding(request):
        raise exceptions.UnsupportedMediaType(encoding(request))
    body: bytes = request._request.body
    return body


def upload(request: Request, *, media_types: Collection[str], limit: int) -> bytes:
    """Return the bytes of a body that isn't parsed here, of at most ``limit``; once.

    It may be packed, see ``encoding``. Raises BodyTooLarge before reading, LengthRequired and
    UnsupportedMediaType.
    """
    _check_length(request, limit)
    # Past Django's limit, which is that of all other bodies.
    body: bytes = request._request.read()
    if body and media_type(request) not in media_types:
        raise UploadTypeRefused(f"as one of {', '.join(media_types)}")
    return body


def media_type(request: Request) -> str:
    """Return the body's media type without its parameters."""
    return (request.content_type or "").partition(";")[0].strip().lower()


def encoding(request: Request) -> str:
    """Return the Content-Encoding in lower case; an empty text if there is none."""
    name = request.headers.get("Content-Encoding", "").strip().lower()
    return "" if name == "identity" else name


def _check_length(request: Request, limit: int) -> None:
    # A chunked body can't be read here, and would pass for an empty one.
    if request.headers.get("Transfer-Encoding"):
        raise LengthRequired
    length = request.headers.get("content-length") or "0"
    if (
        not length.isascii()
        or not length.isdigit()
        or len(length) > len(str(limit))
        or int(length) > limit
    ):
        raise BodyTooLarge(f"The body is over the limit of {limit // MIB} MiB.")


class StrictJSONParser(BaseParser):
    """The only parser of the API."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the document. Raises StrictJsonError, BodyTooLarge."""
        return strict_json.loads(raw_body(parser_context["request"]), max_depth=MAX_DEPTH)


def document(request: Request, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body as an object that fits ``schema``. Raises BodyInvalid."""
    raw_body(request)
    # An empty body is an empty object: many operations need no member.
    data = request.data if request._request.body else {}
    errors = schemas.problems(dict(schema), data)
    if errors:
        raise BodyInvalid(
            f"The body has {len(errors)} error{'s' if len(errors) > 1 else ''}.", errors=errors
        )
    checked: dict[str, Any] = dict(data)
    return checked


def invalid(pointer: str, detail: str) -> BodyInvalid:
    """Return the refusal of the member at ``pointer``."""
    return BodyInvalid(detail, errors=[{"pointer": pointer, "detail": detail}])


def closed_object(properties: dict[str, Any], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of an object with these members and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


#: Why the caller does it: some visible text.
REASON = {
    "type": "string",
    "maxLength": reasons.MAX_LENGTH,
    "pattern": r"\S",
    "description": "a reason in words",
}
#: The same if none is needed.
OPTIONAL_REASON = {"type": ["string", "null"], "maxLength": reasons.MAX_LENGTH}
#: The body of an operation that takes nothing but a reason.
WITH_REASON = closed_object({"reason": REASON}, required=("reason",))
#: A time in the future at which something ends by itself; null is never. ``moment`` reads it.
UNTIL = {"type": ["string", "null"], "maxLength": 50}
#: Members of a filter.
NAME = {"type": "string", "minLength": 1, "maxLength": 200}
TIME = {"type": "string", "maxLength": 50, "format": "date-time"}
UUID = {
    "type": "string",
    "format": "uuid",
    "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "description": "a UUID",
}


def moment(members: Mapping[str, Any], name: str, *, at: str = "") -> datetime | None:
    """Return the member ``name`` as a time, or None. Raises BodyInvalid.

    ``at`` is the pointer to the object that has ``members``.
    """
    text = members.get(name)
    if text is None:
        return None
    try:
        time: datetime = queries.moment(text)
    except ValueError as error:
        raise invalid(f"{at}/{name}", f"{name} {error}.") from None
    return time
