"""The request id: taken from ``X-Request-ID`` or made, returned, logged."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from governance.kernel.request_context import request_id as _current

# Anything else from a client could forge a log line or a header.
_ACCEPTED = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


def accepted(received: str) -> bool:
    """Return whether a client's id may be used."""
    return _ACCEPTED.fullmatch(received) is not None


def current() -> str:
    """Return the current request's id, or an empty text outside of one."""
    return _current.get()


class RequestIdMiddleware:
    """Gives every request an id and returns it as ``X-Request-ID``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request under its id."""
        received = request.headers.get("X-Request-ID", "")
        token = _current.set(received if accepted(received) else uuid.uuid4().hex)
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = _current.get()
            return response
        finally:
            _current.reset(token)
