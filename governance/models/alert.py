"""Alerts, what is sent of them, and how far their evaluation has come."""

from django.db import models
from django.db.models.functions import Now

from governance.states import NOTIFICATION


class Alert(models.Model):
    """A condition that holds for an object; open until ``resolved_at``."""

    id = models.UUIDField(primary_key=True, editable=False)
    condition = models.CharField(max_length=40)
    #: What it is about, in the words of its condition: a cycle's id, an endpoint's key, ...
    object = models.CharField(max_length=250)
    #: None: the workspace's.
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001
    summary = models.TextField()
    #: The page of the object.
    link = models.CharField(max_length=400, default="", db_default="")
    #: Of what it is about, such as dead letters, at the last look.
    count = models.PositiveIntegerField(default=1, db_default=1)
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    acknowledged_by = models.CharField(max_length=200, default="", db_default="")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_reason = models.TextField(default="", db_default="")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["condition", "object"],
                condition=models.Q(resolved_at__isnull=True),
                name="one_open_alert",
            ),
        ]
        indexes = [
            models.Index(
                fields=["-id"], condition=models.Q(resolved_at__isnull=True), name="alert_open"
            ),
            models.Index(fields=["namespace", "-id"], name="alert_namespace"),
            # For retention.
            models.Index(
                fields=["resolved_at", "id"],
                condition=models.Q(resolved_at__isnull=False),
                name="alert_resolved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.condition}: {self.object}"


class Notification(models.Model):
    """A message about an alert by one channel. Its id is the same on every attempt."""

    id = models.UUIDField(primary_key=True, editable=False)
    alert = models.ForeignKey(
        Alert, on_delete=models.CASCADE, related_name="notifications", db_index=False
    )
    #: ``endpoint:KEY`` or ``email``.
    channel = models.CharField(max_length=120)
    phase = models.CharField(max_length=6)
    #: What is sent: a second attempt sends the same bytes.
    document = models.JSONField()
    status = models.CharField(max_length=9, default="pending", db_default="pending")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(null=True, db_default=Now())
    last_error = models.TextField(default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "channel", "phase"], name="one_notification_per_phase"
            ),
            models.CheckConstraint(
                condition=models.Q(phase__in=["opened", "closed"]), name="notification_phase"
            ),
            NOTIFICATION.check("notification_status"),
            models.CheckConstraint(
                condition=models.Q(
                    status="pending", next_attempt_at__isnull=False, finished_at__isnull=True
                )
                | ~models.Q(status="pending")
                & models.Q(next_attempt_at__isnull=True, finished_at__isnull=False),
                name="pending_notification_is_due",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                condition=models.Q(status="pending"),
                name="notification_due",
            ),
            models.Index(
                fields=["-id"], condition=models.Q(status="failed"), name="notification_failed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.phase} by {self.channel}"


class AlertWatch(models.Model):
    """One row: when alerts were evaluated, and what carries over to the next time."""

    id = models.SmallIntegerField(primary_key=True)
    evaluated_at = models.DateTimeField(null=True)
    #: How far the audit trail is verified in this round, and what is wrong with it.
    audit_number = models.BigIntegerField(default=0, db_default=0)
    audit_hash = models.CharField(max_length=64, default="", db_default="")
    #: Each evaluation earns one ping of ORBIT_HEARTBEAT_URL.
    pinged_at = models.DateTimeField(null=True)
    ping_succeeded_at = models.DateTimeField(null=True)
    ping_error = models.TextField(default="", db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="alert_watch_is_one_row")
        ]

    def __str__(self) -> str:
        return f"evaluated at {self.evaluated_at}"
