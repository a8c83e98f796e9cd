"""Refusals over HTTP as problem documents (RFC 9457)."""

import http
import logging
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import Http404, HttpResponse, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from governance.kernel import availability, schemas
from governance.kernel.errors import Kind, OrbitError
from governance.rest import request_id

CONTENT_TYPE = "application/problem+json"
#: What ``Retry-After`` says of a 503: a failover takes some seconds.
RETRY_SECONDS = 2
logger = logging.getLogger(__name__)


class UploadTypeRefused(exceptions.UnsupportedMediaType):
    """A type or encoding that an operation with its own types doesn't read."""

    def __init__(self, accepted: str) -> None:
        super().__init__("", f"Send the body {accepted}.")


STATUS = {
    Kind.MALFORMED: 400,
    Kind.DENIED: 403,
    Kind.MISSING: 404,
    Kind.CONFLICT: 409,
    Kind.STALE: 412,
    Kind.TOO_LARGE: 413,
    Kind.INVALID: 422,
    Kind.LOCKED: 423,
    Kind.UNCONDITIONAL: 428,
    Kind.UNAVAILABLE: 503,
}
#: The frameworks' exceptions: status, our code, and our text if theirs doesn't serve.
_FOREIGN: list[tuple[type[Exception], int, str, str]] = [
    (
        exceptions.NotAuthenticated,
        401,
        "unauthenticated",
        "Send an API token as `Authorization: Bearer ...`, or log in to the console.",
    ),
    (exceptions.AuthenticationFailed, 401, "invalid_token", ""),
    (exceptions.PermissionDenied, 403, "forbidden", ""),
    (exceptions.MethodNotAllowed, 405, "method_not_allowed", ""),
    (exceptions.NotAcceptable, 406, "not_acceptable", "Answers are application/json: accept that."),
    (UploadTypeRefused, 415, "unsupported_media_type", ""),
    (
        exceptions.UnsupportedMediaType,
        415,
        "unsupported_media_type",
        "Send the body as application/json.",
    ),
    (exceptions.Throttled, 429, "throttled", ""),
    (exceptions.ParseError, 400, "malformed", ""),
    (Http404, 404, "not_found", "There is nothing here."),
    (PermissionDenied, 403, "forbidden", "This needs a permission that you don't have."),
    (RequestDataTooBig, 413, "body_too_large", "The body is too large."),
    (UnreadablePostError, 400, "malformed", "The body broke off."),
    (SuspiciousOperation, 400, "malformed", "The request can't be read."),
    (BadRequest, 400, "malformed", "The request can't be read."),
]


def body(
    status: int, code: str, detail: str, *, errors: list[dict[str, str]] | None = None, **extra: Any
) -> dict[str, Any]:
    """Return a problem document; ``extra`` are additional members."""
    listed = (errors or [])[: schemas.MOST_LISTED]
    faults: dict[str, Any] = {"errors": listed} if listed else {}
    if errors and len(errors) > len(listed):
        faults["errors_left_out"] = len(errors) - len(listed)
    title = http.HTTPStatus(status).phrase
    return {
        **extra,
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        **faults,
        "request_id": request_id.current(),
    }


def respond(status: int, code: str, detail: str) -> HttpResponse:
    """Answer a problem from outside the API's views."""
    return JsonResponse(body(status, code, detail), status=status, content_type=CONTENT_TYPE)


def not_allowed(method: str | None, allowed: str) -> HttpResponse:
    """Answer 405 from a page that is no resource."""
    answer = respond(405, "method_not_allowed", f'Method "{method}" not allowed.')
    answer["Allow"] = allowed
    return answer


def describe(error: BaseException) -> dict[str, Any] | None:
    """Return the problem document for ``error``, or None if it is unexpected (500)."""
    if isinstance(error, OrbitError):
        return body(
            STATUS[error.kind], error.code, error.detail, errors=error.errors, **error.extra
        )
    if availability.is_away(error):
        return body(503, "database_unavailable", availability.explain(error))
    if availability.refuses_value(error):
        return body(400, "malformed", "The request holds a value that the database can't read.")
    for kind, status, code, detail in _FOREIGN:
        if isinstance(error, kind):
            return body(status, code, detail or str(getattr(error, "detail", error)))
    if isinstance(error, exceptions.APIException):
        return body(error.status_code, "refused", str(error.detail))
    return None


def unavailable(error: BaseException, code: str) -> None:
    """Log the cause of a 503 in one line; drop a connection that is no use any more."""
    # The client sees a general text.
    logger.warning("%s: %s", code, " ".join(str(error).split()))
    if availability.is_away(error):
        availability.drop_connection(error)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception of an API view; None leaves it to Django's handler."""
    document = describe(error)
    if document is None:
        return None
    wait = getattr(error, "wait", None)
    if document["status"] == http.HTTPStatus.SERVICE_UNAVAILABLE:
        unavailable(error, document["code"])
        wait = wait or RETRY_SECONDS
    headers = {}
    for header, value in (
        ("WWW-Authenticate", getattr(error, "auth_header", None)),
        ("Retry-After", wait),
    ):
        if value:
            headers[header] = str(value)
    answer = Response(
        document, status=document["status"], headers=headers, content_type=CONTENT_TYPE
    )
    # ``unavailable`` has logged it; Django would log an error too.
    if document["status"] == http.HTTPStatus.SERVICE_UNAVAILABLE:
        answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer
