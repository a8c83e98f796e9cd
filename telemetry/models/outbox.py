"""The outbox of a second database, in the main one: its events, and those it can't get rid of."""

from django.db import models

from telemetry.models.event import Event


class OutboxEvent(Event):
    """An event in the main database that is forwarded to telemetry's own."""

    class Meta:
        managed = False
        db_table = "telemetry_outboxevent"
        ordering = ["id"]


class RefusedEvent(Event):
    """An event that telemetry's own database refused, with the reason."""

    refused_at = models.DateTimeField()
    reason = models.TextField()

    class Meta:
        managed = False
        db_table = "telemetry_refusedevent"
        ordering = ["-refused_at", "-id"]


class OutboxState(models.Model):
    """How forwarding goes: one row, or none before its first event."""

    id = models.SmallIntegerField(primary_key=True)
    # Events, ever.
    forwarded = models.BigIntegerField()
    refused = models.BigIntegerField()
    failing_since = models.DateTimeField(null=True)
    problem = models.TextField(null=True)  # noqa: DJ001 - null: none

    class Meta:
        managed = False
        db_table = "telemetry_outboxstate"

    def __str__(self) -> str:
        return self.problem or "well"
