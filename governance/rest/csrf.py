"""Why a form was refused, in words for the operator of the proxy.

Django compares the browser's ``Origin`` with the request's scheme and ``Host``. A proxy may have
changed both.
"""

import logging
import re
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.middleware.csrf import (
    REASON_BAD_ORIGIN,
    REASON_BAD_REFERER,
    REASON_INSECURE_REFERER,
    REASON_MALFORMED_REFERER,
    REASON_NO_CSRF_COOKIE,
    REASON_NO_REFERER,
)

from governance.access import proxies
from governance.kernel.throttled_log import ThrottledLog

logger = logging.getLogger(__name__)

_ORIGIN = re.compile(r"https?://[\w.:\[\]-]{1,255}", re.ASCII)
_BAD_ORIGIN = REASON_BAD_ORIGIN.partition("%")[0]
_BAD_REFERER = REASON_BAD_REFERER.partition("%")[0]
_COOKIE = "CSRF cookie"  # how Django's reasons of a malformed cookie begin
_STALE = (
    "This page is older than your log-in, or its token is missing. "
    "Go back, reload the page and send it again."
)
_HIDDEN = (
    "The browser didn't say which page sent this. Let it send Origin or Referer to this site, "
    "don't use the console in a frame, and let no proxy remove these headers."
)
_log = ThrottledLog(logger.warning)


def explain(request: HttpRequest, reason: str) -> str:
    """Return what to do about a refusal of Django's for ``reason``; log it, throttled."""
    topic, detail = _cause(request, reason)
    _log.report(f"A form was refused, {topic}", detail)
    return detail


def _cause(request: HttpRequest, reason: str) -> tuple[str, str]:
    if reason.startswith(_BAD_ORIGIN):
        return _other_origin(request, request.META.get("HTTP_ORIGIN", ""))
    if reason.startswith(_BAD_REFERER) or reason == REASON_INSECURE_REFERER:
        return _other_origin(request, _of_referer(request))
    if reason in {REASON_NO_REFERER, REASON_MALFORMED_REFERER}:
        return "its origin is hidden", _HIDDEN
    if reason == REASON_NO_CSRF_COOKIE or reason.startswith(_COOKIE):
        return "its cookie is missing", _missing_cookie(request)
    return "its token is missing or old", _STALE


def _of_referer(request: HttpRequest) -> str:
    parts = urlsplit(request.META.get("HTTP_REFERER", ""))
    return f"{parts.scheme}://{parts.netloc}"


def _other_origin(request: HttpRequest, origin: str) -> tuple[str, str]:
    """Explain an origin that isn't the request's."""
    if not _ORIGIN.fullmatch(origin):
        return "its origin is hidden", _HIDDEN
    ours = f"{request.scheme}://{_host(request)}"
    if origin == f"https://{_host(request)}":
        return "its scheme was lost", (
            f"The browser sent this from {origin}, but it arrived as http. {_lost_scheme(request)}"
        )
    if origin == f"http://{_host(request)}":
        return "its page came over http", (
            f"The browser sent this from {origin}, but it arrived as https. Open {ours}/admin/."
        )
    lost = "" if request.is_secure() or origin.startswith("http:") else _lost_scheme(request)
    return "its origin isn't the host", (
        f"The browser sent this from {origin}, but it arrived for {ours}. If {origin} is the "
        "address of this console, a proxy changes it: let the proxy pass Host on as it came, with "
        "the port (nginx: proxy_set_header Host $http_host), or set "
        f"ORBIT_TRUSTED_ORIGINS={origin} and restart Orbit. {lost}"
        "If it isn't, another site tried to act as you: do nothing."
    )


def _lost_scheme(request: HttpRequest) -> str:
    """Say why a request of https passes for one of http."""
    peer = request.META.get("REMOTE_ADDR", "") or "a Unix socket"
    forwarded = request.META.get("HTTP_X_FORWARDED_PROTO", "")
    if not proxies.is_among(peer, settings.ORBIT_TRUSTED_PROXIES):
        header = "X-Forwarded-Proto was ignored" if forwarded else "there was no X-Forwarded-Proto"
        return (
            f"It came from {peer}, which isn't in ORBIT_TRUSTED_PROXIES, and {header}: if that is "
            "your proxy, add its address there, let it send X-Forwarded-Proto: https, and restart "
            "Orbit. "
        )
    if not forwarded:
        return f"Let the proxy at {peer} send X-Forwarded-Proto: https. "
    return (
        f"The proxy at {peer} says X-Forwarded-Proto: {_visible(forwarded)}. Let the proxy that "
        "ends TLS set it to https, and the others pass it on. "
    )


def _missing_cookie(request: HttpRequest) -> str:
    if settings.CSRF_COOKIE_SECURE and not request.is_secure():
        return (
            "The browser sent no cookie: in production cookies are for https alone, and this came "
            f"over http. Open https://{_host(request)}/admin/ through your proxy, which must send "
            "X-Forwarded-Proto and be in ORBIT_TRUSTED_PROXIES, or set ORBIT_ENV=development."
        )
    return (
        "The browser sent no cookie: it was deleted, has expired, or the browser refuses it. "
        "Allow cookies for this site, reload the page and send it again."
    )


def _host(request: HttpRequest) -> str:
    try:
        return request.get_host()
    except DisallowedHost:
        return "an unknown host"


def _visible(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:50])
