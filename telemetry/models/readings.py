"""What consumers read from events: artifacts, metrics, error groups, policy violations.

(occurred_at, event_id) names the event that a row was read from, so that reading it again adds
nothing.
"""

from django.db import models
from django.db.models import Q


class Reading(models.Model):
    """Where a row was read from."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField()
    occurred_at = models.DateTimeField()
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: all
    session_id = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null: none
    task_id = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null: none

    class Meta:
        abstract = True


class Artifact(Reading):
    """A file that a task left behind. ``sha256`` is null for files over 50 MB."""

    path_name = models.TextField()
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, null=True)  # noqa: DJ001 - null: not hashed
    media_type = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null: unknown

    class Meta:
        ordering = ["-occurred_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["occurred_at", "event_id"], name="one_artifact_per_event"
            ),
            models.CheckConstraint(condition=Q(size__gte=0), name="artifact_size"),
            models.CheckConstraint(
                condition=Q(sha256__isnull=True) | Q(sha256__regex=r"^[0-9a-f]{64}$"),
                name="artifact_sha256_is_hex",
            ),
        ]
        indexes = [models.Index(fields=["session_id"], name="artifact_session")]

    def __str__(self) -> str:
        return self.path_name


class Metric(Reading):
    """A measured value."""

    name = models.CharField(max_length=200)
    value = models.FloatField()
    labels = models.JSONField(default=dict, db_default={})
    at = models.GeneratedField(
        expression=models.F("occurred_at"),  # type: ignore[arg-type] # F is resolved
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["-occurred_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["occurred_at", "event_id", "name"], name="one_metric_per_event_and_name"
            ),
        ]
        indexes = [models.Index(fields=["name", "-occurred_at"], name="metric_name")]

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"


class PolicyViolation(Reading):
    """A file that breaks a rule of a policy."""

    file = models.TextField()
    policy = models.CharField(max_length=200)
    rule = models.CharField(max_length=200)
    severity = models.CharField(max_length=50)
    host = models.CharField(max_length=255, default="", db_default="")

    class Meta:
        ordering = ["-occurred_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["occurred_at", "event_id"], name="one_violation_per_event"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy}/{self.rule}: {self.file}"


class ErrorGroup(models.Model):
    """Errors of one message, stage and namespace on one UTC day."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: all
    stage = models.CharField(max_length=50, null=True)  # noqa: DJ001 - null: none
    message = models.TextField()
    # A message can be longer than an index entry.
    message_sha256 = models.CharField(max_length=64)
    count = models.BigIntegerField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    # The earliest event.
    sample = models.JSONField()

    class Meta:
        ordering = ["-last_seen", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "message_sha256", "stage", "namespace"],
                name="one_error_group_per_message",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=Q(count__gt=0), name="error_group_count"),
        ]
        indexes = [models.Index(fields=["-last_seen", "-id"], name="error_group_newest")]

    def __str__(self) -> str:
        return self.message[:80]
