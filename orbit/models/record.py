"""Append-only rows: checkpoints, execution records, the value ledger."""

from django.db import models
from django.db.models.functions import Now


# Range-partitioned by month of `cycle_id`. The database's key is (cycle_id, stage).
class CycleCheckpoint(models.Model):
    """A stage of a cycle that is done."""

    id = models.UUIDField(primary_key=True)
    cycle_id = models.UUIDField()
    stage = models.CharField(max_length=40)
    fencing_token = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "orbit_cyclecheckpoint"
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.stage


# A view of `orbit_recordgroup`, whose rows are records or groups of them. That table is partitioned
# by month of `partition_key`: the cycle's id or, without a cycle, its own.
class ExecutionRecord(models.Model):
    """One event of a cycle or namespace."""

    id = models.UUIDField(primary_key=True)
    partition_key = models.UUIDField()
    cycle_id = models.UUIDField(null=True)
    stage = models.CharField(max_length=40)
    event = models.CharField(max_length=60)
    level = models.CharField(max_length=10)
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null: all
    message = models.TextField()
    data = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "orbit_executionrecord"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.stage}: {self.event}"


class ValueLedgerEntry(models.Model):
    """Usage and value tags of a cycle, metered once."""

    id = models.UUIDField(primary_key=True, editable=False)
    cycle_id = models.UUIDField()
    namespace = models.CharField(max_length=100)
    profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 - raw: none
    run_profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 - raw: none
    kind = models.CharField(max_length=10)
    tag = models.CharField(max_length=100)
    quantity = models.DecimalField(max_digits=20, decimal_places=6)
    unit = models.CharField(max_length=40)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["cycle_id", "kind", "tag", "unit"],
                name="one_ledger_entry_per_cycle_and_tag",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["usage", "value"]), name="ledger_kind"
            ),
        ]
        indexes = [
            models.Index(fields=["tag", "created_at"], name="ledger_tag"),
            # For totals of a range of time.
            models.Index(fields=["created_at"], name="ledger_time"),
            models.Index(fields=["namespace", "-id"], name="ledger_namespace"),
        ]
        verbose_name_plural = "value ledger entries"

    def __str__(self) -> str:
        return f"{self.tag} {self.quantity} {self.unit}"
