"""Conditional GET: JSON answers have an ETag, and ``If-None-Match`` gets a 304.

They may be kept, but are asked for again each time (``no-cache``): without that no client could
send the tag back. Answers that say ``no-store`` have no tag.
"""

import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags

from governance.rest.caching import NO_STORE

_COPIED = ("ETag", "Cache-Control", "Vary", "RateLimit", "RateLimit-Policy")


# Django's ConditionalGetMiddleware makes strong tags, ignores HEAD, answers If-Match on a GET, and
# drops the RateLimit headers from a 304.
class ETagMiddleware:
    """Sets the ETag of JSON answers and answers 304."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        response = self.get_response(request)
        if (
            request.method not in {"GET", "HEAD"}
            or response.status_code != 200
            or response.headers.get("Content-Type") != "application/json"
            or NO_STORE in response.headers.get("Cache-Control", "")
        ):
            return response
        response.headers.setdefault(
            "ETag", f'W/"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        )
        # Private and not reusable: answers depend on the caller and on time.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if not _matches(request.headers.get("If-None-Match", ""), response.headers["ETag"]):
            return response
        unchanged = HttpResponseNotModified()
        for name in _COPIED:
            if name in response.headers:
                unchanged.headers[name] = response.headers[name]
        return unchanged


def _matches(header: str, etag: str) -> bool:
    tags = parse_etags(header)
    return tags == ["*"] or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}
