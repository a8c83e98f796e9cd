"""Errors outside of views: a page under ``/admin/``, a problem document elsewhere."""

import http
import sys
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import loader

from governance.access.lockout import LockedOut, LoginsBusy
from governance.console.base import NotHere
from governance.kernel import clock
from governance.rest import csrf, problem

_CONSOLE = "/admin/"


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400."""
    return _answer(request, 400, "malformed", "The request is malformed.")


def unknown_filter(request: HttpRequest, error: Exception) -> HttpResponse:
    """Answer 400 to a list's address with a filter that the list doesn't have."""
    reason = "".join(filter(str.isprintable, str(error)[:100])).rstrip(".")
    detail = f"This list has no such filter ({reason}). Use the filters that the list shows."
    return _answer(request, 400, "malformed", detail)


def refused_host(request: HttpRequest, host: str) -> HttpResponse:
    """Answer 400 to a host name that isn't ours; ``host`` is quoted and short."""
    return _answer(
        request,
        400,
        "malformed",
        f"Orbit doesn't answer as {host}: ORBIT_ALLOWED_HOSTS doesn't list it. "
        "Add the name there and start the web server again, or use a listed one.",
        is_page=request.path == "/" or request.path.startswith(_CONSOLE),
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403."""
    return _answer(
        request,
        403,
        "forbidden",
        "You don't have the permission for this. An administrator can give you a role that has it.",
    )


def locked_out(request: HttpRequest, locked: LockedOut) -> HttpResponse:
    """Answer 429 to a locked-out login."""
    answer = _answer(request, 429, locked.code, locked.detail)
    answer["Retry-After"] = str(max(1, round((locked.until - clock.now()).total_seconds())))
    return answer


def logins_busy(request: HttpRequest, busy: LoginsBusy) -> HttpResponse:
    """Answer 503 to a login that found no turn."""
    answer = _answer(request, 503, busy.code, busy.detail)
    answer["Retry-After"] = "2"
    # Django would log an error: strangers could fill the log.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that may come from elsewhere."""
    answer = _answer(request, 403, "csrf_failed", csrf.explain(request, reason))
    # Explained in the log already; Django would add a line for each.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    return answer


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    detail = str(exception) if isinstance(exception, NotHere) else ""
    if not detail:
        is_page = request.path.startswith(_CONSOLE)
        detail = "There is nothing here." + (" Look for it in Search." if is_page else "")
    return _answer(request, 404, "not_found", detail)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 with ``Retry-After`` if the database failed."""
    error = sys.exc_info()[1]
    body: dict[str, Any] | None = problem.describe(error) if error is not None else None
    if error is not None and body is not None:
        answer = _answer(request, body["status"], body["code"], body["detail"])
        if answer.status_code == http.HTTPStatus.SERVICE_UNAVAILABLE:
            problem.unavailable(error, body["code"])
            answer["Retry-After"] = str(problem.RETRY_SECONDS)
            # Django would log it again, with a traceback.
            answer._has_been_logged = True  # type: ignore[attr-defined]
        return answer
    return _answer(
        request,
        500,
        "internal_error",
        "Internal error. The log has the cause under this request's id.",
    )


def refusal(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    """Answer for the web server, which refuses a request before Django sees it."""
    return _answer(request, status, code, detail)


def _answer(
    request: HttpRequest, status: int, code: str, detail: str, *, is_page: bool | None = None
) -> HttpResponse:
    if not (request.path.startswith(_CONSOLE) if is_page is None else is_page):
        return problem.respond(status, code, detail)
    # Without context processors: they would query the database, which may be down.
    return HttpResponse(
        loader.get_template("console/fault.html").render(
            {"status": status, **problem.body(status, code, detail)}
        ),
        status=status,
    )
