"""Answers to requests that never reach Django."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse

from governance.kernel import availability
from governance.kernel.request_context import request_id
from governance.rest.caching import NO_STORE
from orbit_site import error_pages
from orbit_site.web.environ import Scope

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Refusal(Exception):
    """A request that never reaches Django."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, *, again: bool = False) -> None:
        self.status, self.code, self.detail, self.again = status, code, detail, again
        super().__init__(detail)


BROKE_OFF = Refusal(HTTPStatus.BAD_REQUEST, "malformed", "The body broke off.")


def failed(error: Exception) -> Refusal:
    """Return the refusal for a request that failed outside of Django."""
    if availability.is_away(error):
        detail = availability.explain(error)
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", detail, again=True)
    return Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "The server failed to answer."
    )


def busy(detail: str) -> Refusal:
    """Return the refusal for a request that there is no room for."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE, "server_busy", f"{detail} Try again.", again=True
    )


async def send_to(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Send the refusal as an answer."""
    request = HttpRequest()
    request.path = scope["path"]
    response: HttpResponse = error_pages.refusal(
        request, refusal.status.value, refusal.code, refusal.detail
    )
    response["X-Request-ID"] = request_id.get()
    response["Content-Length"] = str(len(response.content))
    response["Cache-Control"] = NO_STORE
    # The rest of the request may still be on its way.
    response["Connection"] = "close"
    if refusal.again:
        response["Retry-After"] = "1"
    headers = [(name.encode(), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
