"""What follows an approval: its probation, and whether its forecast came true."""

from django.db import models
from django.db.models.functions import Now

from advisory.models.proposal import StrategyProposal
from advisory.states import FORECAST, PROBATION, Forecast
from advisory.states import Probation as ProbationState


class Probation(models.Model):
    """An approval for some cycles or until a time; then the earlier revision comes back."""

    proposal = models.OneToOneField(StrategyProposal, on_delete=models.PROTECT, primary_key=True)
    status = models.CharField(max_length=12, default=ProbationState.RUNNING)
    #: It ends after so many ended cycles of the profile, or at ``until``, whichever is first.
    cycles = models.PositiveIntegerField(null=True)
    until = models.DateTimeField(null=True)
    fallback_revision = models.PositiveIntegerField()
    applied_revision = models.PositiveIntegerField()
    asked_by = models.CharField(max_length=200)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=200, default="", blank=True)
    #: Django's user. None: Orbit, or a command.
    ended_by_user = models.BigIntegerField(null=True)
    end_reason = models.TextField(default="", blank=True)
    #: The revision that the end made, if it rolled back.
    made_revision = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            PROBATION.check("probation_status"),
            models.CheckConstraint(
                condition=models.Q(cycles__gte=1, cycles__lte=10_000)
                | models.Q(cycles=None, until__isnull=False),
                name="probation_has_an_end",
            ),
            models.CheckConstraint(
                condition=models.Q(status="running", ended_at=None)
                | (~models.Q(status="running") & models.Q(ended_at__isnull=False)),
                name="probation_ended_at",
            ),
        ]
        indexes = [
            # The sweeps go through the open ones in this order.
            models.Index(
                fields=["proposal"], condition=models.Q(status="running"), name="probation_running"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.status}"


class TrackRecord(models.Model):
    """Whether the forecast of an approved proposal came true."""

    proposal = models.OneToOneField(StrategyProposal, on_delete=models.PROTECT, primary_key=True)
    status = models.CharField(max_length=12, default=Forecast.WAITING)
    #: The engine's rule; empty if a user wrote the proposal.
    rule = models.CharField(max_length=50, default="", blank=True)
    #: How many cycles after the approval are compared.
    cycles = models.PositiveIntegerField()
    measured = models.JSONField(default=dict)
    reason = models.TextField(default="", blank=True)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            FORECAST.check("track_record_status"),
            models.CheckConstraint(
                condition=models.Q(status="waiting", ended_at=None)
                | (~models.Q(status="waiting") & models.Q(ended_at__isnull=False)),
                name="track_record_ended_at",
            ),
        ]
        indexes = [
            models.Index(
                fields=["proposal"], condition=models.Q(status="waiting"), name="track_waiting"
            ),
            models.Index(
                fields=["rule", "-ended_at"],
                condition=models.Q(ended_at__isnull=False),
                name="track_rule",
            ),
            models.Index(
                fields=["-ended_at"],
                condition=models.Q(ended_at__isnull=False) & ~models.Q(rule=""),
                name="track_engine",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.status}"
