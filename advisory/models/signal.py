"""Signals, and the computations that made them."""

from django.db import models
from django.db.models.functions import Now

from advisory.states import SignalKind


class SignalComputation(models.Model):
    """One computation over a window. False discoveries are controlled over all its signals."""

    id = models.UUIDField(primary_key=True, editable=False)
    #: The window is [window_from, window_to), the baseline [baseline_from, window_from).
    baseline_from = models.DateTimeField()
    window_from = models.DateTimeField()
    window_to = models.DateTimeField()
    actor = models.CharField(max_length=200)
    #: How many signals it made, and which events it left out, by reason.
    signals = models.PositiveIntegerField()
    excluded = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(baseline_from__lte=models.F("window_from"))
                & models.Q(window_from__lt=models.F("window_to")),
                name="computation_times_in_order",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class AdvisorySignal(models.Model):
    """What a computation says about one profile in one namespace. Never changed."""

    id = models.UUIDField(primary_key=True, editable=False)
    computation = models.ForeignKey(
        SignalComputation, on_delete=models.PROTECT, related_name="results"
    )
    profile_id = models.CharField(max_length=100)
    #: None: the profile ran in no namespace.
    namespace = models.CharField(max_length=100, null=True)  # noqa: DJ001 - none is not empty
    signal = models.CharField(max_length=20)
    #: 1 - p of the test that the signal rests on; 0 for insufficient data.
    confidence = models.FloatField()
    method = models.TextField()
    window_from = models.DateTimeField()
    window_to = models.DateTimeField()
    evidence = models.JSONField()
    recommendation = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(signal__in=[str(kind) for kind in SignalKind]),
                name="signal_kind",
            ),
            # NaN is greater than any number in PostgreSQL.
            models.CheckConstraint(
                condition=models.Q(confidence__gte=0, confidence__lte=1), name="signal_confidence"
            ),
            models.UniqueConstraint(
                fields=["computation", "profile_id", "namespace"],
                name="one_signal_per_profile_and_namespace",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="signal_recent"),
            models.Index(fields=["profile_id", "namespace", "-created_at"], name="signal_profile"),
            models.Index(fields=["namespace", "-created_at", "-id"], name="signal_namespace"),
            # Most are stable: the few others are what is looked for.
            models.Index(fields=["signal", "-created_at", "-id"], name="signal_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.profile_id}: {self.signal}"
