"""Acknowledge an alert: a user looks after it."""

from uuid import UUID

from django.db.models.functions import Now

from governance import audit
from governance.access.actors import Actor
from governance.alerts import listing
from governance.audit.actions import Action
from governance.kernel import pg_text, reasons
from governance.models import Alert


def acknowledge(alert_id: UUID, *, actor: Actor, reason: str = "") -> Alert:
    """Mark an alert as acknowledged by ``actor``; the first one counts. Return the alert.

    Raises AlertUnknown, ReasonInvalid.
    """
    if len(reason) > reasons.MAX_LENGTH:
        raise reasons.ReasonInvalid
    alert = listing.find(alert_id, actor=actor)
    with audit.transaction():
        # Of two at once, the second one's update matches no row.
        is_first = Alert.objects.filter(pk=alert.pk, acknowledged_at__isnull=True).update(
            acknowledged_by=actor.name,
            acknowledged_at=Now(),
            acknowledged_reason=pg_text.clean(reason.strip()),
        )
        if is_first:
            audit.record(
                Action.ALERT_ACKNOWLEDGED,
                actor=actor.name,
                object_id=str(alert.pk),
                namespace=alert.namespace,
                after={"condition": alert.condition, "object": alert.object},
                reason=reason,
            )
    alert.refresh_from_db()
    return alert
