"""The page of alerts."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.alerts import acknowledge, listing
from governance.console import pages
from governance.console.base import actor_of
from orbit.alerts import send


@pages.page("alerts/", name="alerts", title="Alerts")
def alerts(request: HttpRequest, typed: Mapping[UUID, str] | None = None) -> HttpResponse:
    """Show the open alerts, then those that were resolved. ``typed``: a reason that was refused."""
    actor = actor_of(request)
    namespace = request.GET.get("namespace", "")
    page = listing.page(actor, namespace=namespace, channels=send.channels())
    return pages.draw(
        request,
        "console/alerts.html",
        title="Alerts",
        page=page,
        typed=typed or {},
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
    reason = request.POST.get("reason", "")
    if request.method == "POST" and not pages.tried(
        request, partial(_acknowledge, alert_id, reason, actor_of(request))
    ):
        return alerts(request, {alert_id: reason})
    return redirect("admin:alerts")


def _acknowledge(alert_id: UUID, reason: str, actor: Actor) -> str:
    alert = acknowledge.acknowledge(alert_id, actor=actor, reason=reason)
    is_mine = not reason or alert.acknowledged_reason == reason.strip()
    unsaved = "" if is_mine else f" Your reason was not saved: {reason}"
    return f"{alert.acknowledged_by} looks after it: {alert.summary}.{unsaved}"
