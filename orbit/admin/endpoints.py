"""Endpoints: how they do, and Send test delivery."""

from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from orbit.dispatch import endpoint_health, trial
from orbit.errors import EndpointUnknown
from orbit.states import Attempt


@pages.page("orbit/endpoints/", "Endpoints", "console/endpoints.html", workspace=True)
def endpoint_list(request: HttpRequest) -> pages.Answer:
    """Show all endpoints."""
    healths = endpoint_health.listed(actor_of(request))
    return {"title": endpoint_health.sentence(healths), "endpoints": healths}


@pages.page(
    "orbit/endpoints/<str:endpoint_key>/",
    "Endpoint",
    "console/endpoint.html",
    name="orbit_endpoint",
    sends=Scope.OPERATE,
    workspace=True,
)
def endpoint_page(request: HttpRequest, endpoint_key: str) -> pages.Answer:
    """Show one endpoint; a POST sends a test delivery."""
    if request.method == "POST":
        _send_test(request, endpoint_key)
        return redirect(request.path)
    detail = endpoint_health.read(endpoint_key, actor=actor_of(request))
    return {"title": f"Endpoint {endpoint_key}", "detail": detail, "health": detail.health}


def _send_test(request: HttpRequest, key: str) -> None:
    try:
        result = trial.send(key, actor=actor_of(request))
    except EndpointUnknown:
        raise
    except OrbitError as error:
        messages.error(request, error.detail)
    else:
        level = messages.SUCCESS if result.status == Attempt.DELIVERED else messages.ERROR
        messages.add_message(request, level, str(result))
