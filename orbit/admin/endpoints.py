"""Endpoints: how they do, and Send test delivery."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from governance.access.roles import Scope
from governance.console import pages
from governance.console.base import actor_of
from governance.kernel.errors import OrbitError
from orbit.dispatch import endpoint_health, test_delivery
from orbit.errors import EndpointUnknown
from orbit.states import Attempt


@pages.page("orbit/endpoints/", name="orbit_endpoints", title="Endpoints", workspace=True)
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """Show all endpoints."""
    healths = endpoint_health.listed(actor_of(request))
    title = endpoint_health.sentence(healths)
    return pages.draw(request, "console/endpoints.html", title=title, endpoints=healths)


@pages.page(
    "orbit/endpoints/<str:endpoint_key>/",
    name="orbit_endpoint",
    title="Endpoint",
    sends=Scope.OPERATE,
    workspace=True,
)
def endpoint_page(request: HttpRequest, endpoint_key: str) -> HttpResponse:
    """Show one endpoint; a POST sends a test delivery."""
    actor = actor_of(request)
    if request.method == "POST":
        return _send_test(request, endpoint_key)
    detail = endpoint_health.read(endpoint_key, actor=actor)
    return pages.draw(
        request,
        "console/endpoint.html",
        title=f"Endpoint {endpoint_key}",
        detail=detail,
        health=detail.health,
        may_operate=actor.may(Scope.OPERATE),
    )


def _send_test(request: HttpRequest, key: str) -> HttpResponse:
    try:
        result = test_delivery.send(key, actor=actor_of(request))
    except OrbitError as error:
        if isinstance(error, EndpointUnknown):
            raise
        messages.error(request, error.detail)
    else:
        level = messages.SUCCESS if result.status == Attempt.DELIVERED else messages.ERROR
        messages.add_message(request, level, str(result))
    return HttpResponseRedirect(request.path)
