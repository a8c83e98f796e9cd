"""What is answered where no view answered: a page under ``/admin/``, a problem document everywhere else."""

import sys
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.utils import timezone

from governance.access.lockout import LockedOut
from governance.rest import problem

_CONSOLE = "/admin/"


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400."""
    return _answer(request, 400, "malformed", "The request can't be read.")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403."""
    return _answer(request, 403, "forbidden", "This needs a permission that you don't have.")


def locked_out(request: HttpRequest, locked: LockedOut) -> HttpResponse:
    """Answer 429 to a login under a name that is locked at this address."""
    answer = _answer(request, 429, locked.code, locked.detail)
    answer["Retry-After"] = str(max(1, round((locked.until - timezone.now()).total_seconds())))
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without its token."""
    return _answer(
        request,
        403,
        "csrf_failed",
        "The form's token is missing or too old. Go back, load the page anew, and send it again.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return _answer(request, 404, "not_found", "There is nothing here.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 where the database is what failed."""
    error = sys.exc_info()[1]
    known: dict[str, Any] | None = problem.describe(error) if error is not None else None
    if known is not None:
        return _answer(request, known["status"], known["code"], known["detail"])
    return _answer(
        request,
        500,
        "internal_error",
        "Orbit failed to answer. The log has the reason under this request's id.",
    )


def _answer(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    if not request.path.startswith(_CONSOLE):
        return problem.respond(status, code, detail)
    # Rendered without context processors: they would ask the database that may be gone.
    return HttpResponse(
        loader.get_template("console/fault.html").render(
            {"status": status, **problem.body(status, code, detail)}
        ),
        status=status,
    )
