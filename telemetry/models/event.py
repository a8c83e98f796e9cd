"""The event log, partitioned by day."""

from django.db import models


class Event(models.Model):
    """The columns of an event."""

    id = models.UUIDField(primary_key=True)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    name = models.CharField(max_length=100)
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: all
    profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: none
    run_id = models.UUIDField(null=True)
    session_id = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null: none
    task_id = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null: none
    stage = models.CharField(max_length=50, null=True)  # noqa: DJ001 - null: none
    level = models.CharField(max_length=10)
    duration_ms = models.FloatField(null=True)
    metadata = models.JSONField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.name} {self.occurred_at:%Y-%m-%d %H:%M:%S} UTC"


# The database's key is (id, occurred_at): a table that is partitioned by day can have no other.
class TelemetryEvent(Event):
    """Something that happened."""

    class Meta:
        managed = False
        db_table = "telemetry_telemetryevent"
        ordering = ["-occurred_at", "-id"]
