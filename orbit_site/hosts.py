"""Answers probes under any host name, and tells which variable refuses the others."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from governance.kernel.throttled_log import ThrottledLog
from orbit_site import error_pages

#: Their answers don't depend on the name. Probes come by the address of a container.
PROBES = {"/health", "/ready", "/metrics"}
LONGEST = 100  # of a name that is repeated
log = logging.getLogger(__name__)
# Anyone could fill the log with names: all have one topic.
_refused = ThrottledLog(log.warning)


class HostMiddleware:
    """Compares the Host header with ORBIT_ALLOWED_HOSTS, but for probes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer 400 to a name that isn't listed."""
        if request.path_info in PROBES:
            # Django compares it again, further inside.
            request.META["HTTP_HOST"] = _allowed()
            return self._get_response(request)
        try:
            request.get_host()
        except DisallowedHost:
            host = ascii(request.META.get("HTTP_HOST", request.META["SERVER_NAME"])[:LONGEST])
            _refused.report(
                "Refused a request by its host name",
                f"{host} isn't in ORBIT_ALLOWED_HOSTS. Add it if it is this installation's.",
            )
            return error_pages.refused_host(request, host)
        return self._get_response(request)


def _allowed() -> str:
    name = str(settings.ALLOWED_HOSTS[0]) if settings.ALLOWED_HOSTS else "localhost"
    return "localhost" if name == "*" else name.lstrip(".")
