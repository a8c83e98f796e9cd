"""The page of alerts."""

from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import redirect

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.alerts import acknowledge, listing
from governance.console import pages
from governance.console.base import actor_of
from orbit.alerts import send


@pages.page("alerts/", "Alerts", "console/alerts.html")
def alerts(request: HttpRequest) -> dict[str, Any]:
    """Show the open alerts, then those that were resolved."""
    actor, namespace = actor_of(request), request.GET.get("namespace", "")
    page = listing.page(actor, namespace=namespace, channels=send.channels())
    return {"page": page, "typed": {}}


@pages.page(
    "alerts/<uuid:alert_id>/acknowledge/",
    "Alerts",
    "console/alerts.html",
    scope=Scope.OPERATE,
    sends=Scope.OPERATE,
)
def acknowledge_alert(request: HttpRequest, alert_id: UUID) -> pages.Answer:
    """Acknowledge the alert, and go back to the page; a refused reason stays typed."""
    reason = request.POST.get("reason", "")
    act = partial(_acknowledge, alert_id, reason, actor_of(request))
    if request.method == "POST" and not pages.tried(request, act):
        return {**alerts(request), "typed": {alert_id: reason}}
    return redirect("admin:alerts")


def _acknowledge(alert_id: UUID, reason: str, actor: Actor) -> str:
    alert = acknowledge.acknowledge(alert_id, actor=actor, reason=reason)
    is_mine = not reason or alert.acknowledged_reason == reason.strip()
    unsaved = "" if is_mine else f" Your reason was not saved: {reason}"
    return f"{alert.acknowledged_by} looks after it: {alert.summary}.{unsaved}"
