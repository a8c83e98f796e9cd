"""Alerts as the API, the console and the command show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from governance.access.actors import Actor
from governance.alerts import conditions, notifications
from governance.kernel.errors import Kind, OrbitError
from governance.models import Alert, AlertWatch, Notification

_MOST_OPEN, _MOST_RESOLVED, _MOST_MESSAGES = 200, 50, 20


class AlertUnknown(OrbitError):
    """There is no such alert."""

    code, kind = "unknown_alert", Kind.MISSING


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert with what its condition means and what to do."""

    alert: Alert
    label: str
    advice: str


@dataclass(frozen=True, slots=True)
class AlertPage:
    """The page of alerts. What concerns the whole workspace is None to confined users."""

    open: list[AlertRow]
    resolved: list[AlertRow]
    more_open: bool
    #: Messages that could not be sent, or not yet.
    unsent: list[Notification]
    watch: AlertWatch | None
    channels: Sequence[str] | None


def visible(actor: Actor) -> "QuerySet[Alert]":
    """Return the alerts that ``actor`` sees; those of the workspace only if not confined."""
    return Alert.objects.filter(actor.filter()).order_by("-id")


def find(alert_id: UUID, *, actor: Actor) -> Alert:
    """Return an alert that ``actor`` sees. Raises AlertUnknown."""
    alert = visible(actor).filter(pk=alert_id).first()
    if alert is None:
        raise AlertUnknown(f"There is no alert {alert_id}.")
    return alert


def page(actor: Actor, *, namespace: str = "", channels: Sequence[str] = ()) -> AlertPage:
    """Return what the page shows, in at most four queries."""
    alerts = visible(actor)
    if namespace:
        alerts = alerts.filter(namespace=namespace)
    is_open = list(alerts.filter(resolved_at__isnull=True)[: _MOST_OPEN + 1])
    # Those without an owner come first.
    is_open.sort(key=lambda alert: alert.acknowledged_at is not None)
    resolved = alerts.filter(resolved_at__isnull=False)[:_MOST_RESOLVED]
    whole = actor.namespaces is None
    unsent = [*notifications.failed()[:_MOST_MESSAGES], *notifications.late()[:_MOST_MESSAGES]]
    return AlertPage(
        [_row(alert) for alert in is_open[:_MOST_OPEN]],
        [_row(alert) for alert in resolved],
        len(is_open) > _MOST_OPEN,
        unsent if whole else [],
        AlertWatch.objects.filter(id=1).first() if whole else None,
        channels if whole else None,
    )


def to_dict(alert: Alert) -> dict[str, Any]:
    """Return an alert as the command shows it."""
    return {
        "id": alert.pk,
        "condition": alert.condition,
        "object": alert.object,
        "namespace": alert.namespace,
        "summary": alert.summary,
        "count": alert.count,
        "first_seen": alert.first_seen_at,
        "last_seen": alert.last_seen_at,
        "acknowledged_by": alert.acknowledged_by or None,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_reason": alert.acknowledged_reason,
        "resolved_at": alert.resolved_at,
        "what_to_do": conditions.advice(alert.condition),
        "link": alert.link,
    }


def _row(alert: Alert) -> AlertRow:
    return AlertRow(alert, conditions.label(alert.condition), conditions.advice(alert.condition))
