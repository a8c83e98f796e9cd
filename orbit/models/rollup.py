"""Sums of what happened, so that no page reads the history."""

from django.db import models


class DeliveryHour(models.Model):
    """Deliveries of a namespace in an hour. Kept when their rows are pruned."""

    id = models.BigAutoField(primary_key=True)
    namespace = models.CharField(max_length=100)
    hour = models.DateTimeField()
    delivered = models.PositiveBigIntegerField(default=0, db_default=0)
    dead = models.PositiveBigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["hour", "namespace"], name="one_row_per_delivery_hour")
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.hour:%Y-%m-%d %H}"


class CycleDay(models.Model):
    """Ended cycles of a namespace on a UTC day, by outcome. Kept when the cycles are pruned."""

    id = models.BigAutoField(primary_key=True)
    namespace = models.CharField(max_length=100)
    day = models.DateField()
    success = models.PositiveBigIntegerField(default=0, db_default=0)
    partial_success = models.PositiveBigIntegerField(default=0, db_default=0)
    failed = models.PositiveBigIntegerField(default=0, db_default=0)
    cancelled = models.PositiveBigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "namespace"], name="one_row_per_cycle_day")
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.day}"


class RollUpMark(models.Model):
    """Until where the rows of a kind are counted: the id of the last one, of cycles by its end."""

    kind = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()
    after = models.UUIDField()

    def __str__(self) -> str:
        return self.kind


class OverviewFacts(models.Model):
    """What the overview last read for a scope, shared by all readers for some seconds."""

    #: The SHA-256 of the namespaces, of the reader's marks, and of the statement that reads them.
    scope = models.CharField(max_length=64, primary_key=True)
    taken_at = models.DateTimeField()
    facts = models.JSONField(null=True)

    def __str__(self) -> str:
        return self.scope
