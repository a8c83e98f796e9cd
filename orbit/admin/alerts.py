"""The page of alerts."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.roles import Scope
from governance.alerts import acknowledge, listing
from governance.console import pages
from governance.console.base import NotHere, actor_of
from governance.kernel.reasons import ReasonInvalid
from orbit.alerts import send


@pages.page("alerts/", name="alerts", title="Alerts", group="Now")
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
        try:
            alert = acknowledge.acknowledge(
                alert_id, actor=actor_of(request), reason=request.POST.get("reason", "")
            )
            messages.success(request, f"{alert.acknowledged_by} looks after it: {alert.summary}.")
        except listing.AlertUnknown as error:
            raise NotHere(error.detail) from None
        except ReasonInvalid as error:
            messages.error(request, error.detail)
    return redirect("admin:alerts")
