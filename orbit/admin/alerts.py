"""The page of alerts."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from governance.access.roles import Scope
from governance.alerts import acknowledge, listing
from governance.console import pages
from governance.console.base import actor_of
from orbit.alerts import send


@pages.page("alerts/", "Alerts", "console/alerts.html")
def alerts(request: HttpRequest) -> pages.Answer:
    """Show the open alerts, then those that were resolved."""
    namespace = request.GET.get("namespace", "")
    return {"page": listing.page(actor_of(request), namespace=namespace, channels=send.channels())}


@pages.page(
    "alerts/<uuid:alert_id>/acknowledge/",
    "Acknowledge an alert",
    scope=Scope.OPERATE,
    sends=Scope.OPERATE,
)
def acknowledge_alert(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """Acknowledge the alert, and go back to the page."""

    def act() -> str:
        reason = request.POST.get("reason", "")
        alert = acknowledge.acknowledge(alert_id, actor=actor_of(request), reason=reason)
        return f"{alert.acknowledged_by} looks after it: {alert.summary}."

    return pages.pressed(request, act, "admin:alerts")
