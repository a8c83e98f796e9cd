"""Ticks of schedules, and clusters."""

from django.db import models
from django.db.models.functions import Now

from orbit.states import TICK


class CronTick(models.Model):
    """One due tick of one schedule, unique over all clusters."""

    id = models.UUIDField(primary_key=True, editable=False)
    schedule = models.CharField(max_length=200)
    tick_key = models.CharField(max_length=40)
    due_at = models.DateTimeField()
    outcome = models.CharField(max_length=10)
    detail = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-due_at"]
        constraints = [
            models.UniqueConstraint(fields=["schedule", "tick_key"], name="one_row_per_tick"),
            TICK.check("tick_outcome", "outcome"),
        ]
        indexes = [
            models.Index(fields=["-due_at"], name="tick_recent"),
            models.Index(
                fields=["created_at"], condition=models.Q(outcome="due"), name="tick_open"
            ),
            models.Index(fields=["schedule", "-id"], name="tick_schedule"),
            models.Index(fields=["schedule", "-due_at"], name="tick_schedule_due"),
            # For retention.
            models.Index(
                fields=["decided_at", "id"],
                condition=models.Q(decided_at__isnull=False),
                name="tick_decided",
            ),
            # Operators look for the rare outcomes; most ticks just start their cycle.
            models.Index(
                fields=["outcome", "-id"],
                condition=models.Q(outcome__in=["skipped", "refused", "missed", "late"]),
                name="tick_notable",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule} {self.tick_key}"


class ClusterNode(models.Model):
    """A running cluster. Its heartbeat comes every five seconds."""

    id = models.UUIDField(primary_key=True, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    release = models.CharField(max_length=40)
    workers = models.PositiveSmallIntegerField()
    paused = models.BooleanField(default=False, db_default=False)
    draining = models.BooleanField(default=False, db_default=False)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    #: By which its host's clock is ahead of the database's; negative: behind.
    clock_ahead_seconds = models.FloatField(default=0.0, db_default=0.0)
    #: A keyed hash of the settings that all processes must share.
    settings_sha256 = models.CharField(max_length=64, default="", db_default="")
    #: How many endpoints it has; null: of an older release.
    endpoints = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["-seen_at"]
        indexes = [models.Index(fields=["-seen_at"], name="cluster_seen")]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
