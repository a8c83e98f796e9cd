"""The audit trail."""

from django.db import models


class AuditTrailEntry(models.Model):
    """An entry of the append-only chain."""

    # Not a sequence: the head's number + 1, so that a gap is a missing entry.
    id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    object_type = models.CharField(max_length=100, default="", db_default="")
    object_id = models.CharField(max_length=200, default="", db_default="")
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - null is the whole workspace
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.TextField(default="", db_default="")
    request_id = models.CharField(max_length=200, default="", db_default="")
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_object"),
            models.Index(fields=["namespace", "-id"], name="audit_namespace"),
            models.Index(fields=["at"], name="audit_at"),
            models.Index(fields=["actor", "-id"], name="audit_actor"),
            models.Index(fields=["action", "-id"], name="audit_action"),
            models.Index(
                fields=["request_id", "-id"],
                name="audit_request",
                condition=~models.Q(request_id=""),
            ),
        ]
        verbose_name_plural = "audit trail entries"

    def __str__(self) -> str:
        return f"{self.id} {self.action}"


class AuditHead(models.Model):
    """The end of the chain and its lock, so that it can't fork."""

    id = models.SmallIntegerField(primary_key=True)
    sequence = models.BigIntegerField()
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="audit_head_is_one_row")
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.hash}"
