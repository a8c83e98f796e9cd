"""Conditional reading: every JSON answer to a GET has an ETag, and whoever has that answer already gets a 304 without it.

A resource that knows a tag of its own, such as a revision, sets it; for all others it is a weak one, made of the answer's bytes. It saves
the way, not the work.
"""

import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags

_KEPT = ("ETag", "Cache-Control", "Vary", "RateLimit", "RateLimit-Policy")


class ETagMiddleware:
    """Sets the tag and answers 304. What isn't JSON, as the console's pages, is left alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        response = self.get_response(request)
        if (
            request.method not in {"GET", "HEAD"}
            or response.status_code != 200
            or response.headers.get("Content-Type") != "application/json"
        ):
            return response
        response.headers.setdefault(
            "ETag", f'W/"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        )
        # An answer of today is nobody else's, and nobody's tomorrow.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if not _has(request.headers.get("If-None-Match", ""), response.headers["ETag"]):
            return response
        unchanged = HttpResponseNotModified()
        for name in _KEPT:
            if name in response.headers:
                unchanged.headers[name] = response.headers[name]
        return unchanged


def _has(sent: str, etag: str) -> bool:
    tags = parse_etags(sent)
    return tags == ["*"] or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}
