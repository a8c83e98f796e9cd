"""Whole addresses of other pages, also behind a proxy on another port."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request


def whole(request: Request | HttpRequest, path: str) -> str:
    """Return the address of ``path``, which begins with a slash, for the same client."""
    host: str = request.get_host()
    # Without a port, a proxy may have dropped it: the origin that forms come from has it.
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if urlsplit(origin).hostname == host:
            return f"{origin}{path}"
    address: str = request.build_absolute_uri(path)
    return address
