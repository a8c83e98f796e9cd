"""What autonomy did."""

from django.db import models
from django.db.models.functions import Now

from advisory.models.signal import AdvisorySignal


class AutonomyAction(models.Model):
    """One change that a written policy made."""

    id = models.UUIDField(primary_key=True, editable=False)
    policy = models.CharField(max_length=100)
    #: The policy as it was.
    document = models.JSONField()
    profile_id = models.CharField(max_length=100)
    run_profile_id = models.CharField(max_length=100, null=True)  # noqa: DJ001
    namespace = models.CharField(max_length=100)
    signal = models.ForeignKey(AdvisorySignal, on_delete=models.PROTECT)
    #: The UTC day, and the how-manieth action of the policy on it: the rate limit.
    day = models.DateField()
    number = models.PositiveIntegerField()
    base_revision = models.PositiveIntegerField()
    made_revision = models.PositiveIntegerField()
    reason = models.TextField()
    acted_at = models.DateTimeField(db_default=Now())
    reverted_at = models.DateTimeField(null=True)
    reverted_by = models.CharField(max_length=200, default="", blank=True)
    reverted_revision = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["-acted_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "day", "number"], name="autonomy_rate_limit"),
            models.UniqueConstraint(
                fields=["signal", "profile_id", "run_profile_id"],
                name="autonomy_acts_once",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(fields=["-acted_at", "-id"], name="autonomy_recent"),
            models.Index(fields=["profile_id", "-acted_at"], name="autonomy_profile"),
        ]

    def __str__(self) -> str:
        return f"{self.policy}: {self.profile_id}"
