"""The page of alerts."""

from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.alerts import acknowledge, listing
from governance.console import pages
from governance.console.base import actor_of
from orbit.alerts import send


@pages.page("alerts/", name="alerts", title="Alerts")
def alerts(request: HttpRequest) -> HttpResponse:
    """Show the open alerts, then those that were resolved."""
    actor = actor_of(request)
    namespace = request.GET.get("namespace", "")
    page = listing.page(actor, namespace=namespace, channels=send.channels())
    return pages.draw(
        request,
        "console/alerts.html",
        title="Alerts",
        page=page,
        may_acknowledge=actor.may(Scope.OPERATE),
    )


@pages.page(
    "alerts/<uuid:alert_id>/acknowledge/",
    name="alert_acknowledge",
    title="Acknowledge an alert",
    scope=Scope.OPERATE,
    sends=Scope.OPERATE,
)
def acknowledge_alert(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """Acknowledge the alert, and go back to the page."""
    if request.method == "POST":
        pages.tried(request, partial(_acknowledge, request, alert_id))
    return redirect("admin:alerts")


def _acknowledge(request: HttpRequest, alert_id: UUID) -> str:
    alert = acknowledge.acknowledge(
        alert_id, actor=actor_of(request), reason=request.POST.get("reason", "")
    )
    return f"{alert.acknowledged_by} looks after it: {alert.summary}."
