"""Namespaces, their settings and stops."""

import uuid

from django.db import models
from django.db.models.functions import Now

from governance.states import Mode, Stopped

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Namespace(models.Model):
    """A tenant."""

    name = models.CharField(max_length=100, unique=True)
    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(name__regex=NAME_PATTERN), name="namespace_name_pattern"
            )
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GovernanceSetting(models.Model):
    """The stop in force of a namespace. Outside tools read it."""

    namespace = models.OneToOneField(Namespace, on_delete=models.PROTECT, related_name="setting")
    halt = models.BooleanField(default=False, db_default=False)
    mode = models.CharField(max_length=16, default=Mode.RUNNING, db_default=Mode.RUNNING)
    reason = models.TextField(default="", blank=True, db_default="")
    changed_by = models.CharField(max_length=150, default="", blank=True, db_default="")
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(mode__in=[str(mode) for mode in Mode]), name="setting_mode"
            ),
            models.CheckConstraint(
                condition=models.Q(halt=True, mode__in=[Mode.HALTING, Mode.QUIET])
                | models.Q(halt=False, mode__in=[Mode.RUNNING, Mode.DRAINING]),
                name="setting_halt_matches_mode",
            ),
        ]
        # A claim goes through these where the oldest due cycles belong to halted namespaces.
        indexes = [
            models.Index(fields=["namespace"], condition=models.Q(halt=False), name="setting_open"),
        ]

    def __str__(self) -> str:
        return f"{self.namespace}: {self.mode}"


class Stop(models.Model):
    """A halt or drain of a namespace, or a pause of the workspace; open until ``ended_at``."""

    namespace = models.ForeignKey(
        Namespace, on_delete=models.PROTECT, null=True, related_name="stops", db_index=False
    )
    kind = models.CharField(max_length=8)
    reason = models.TextField(default="", db_default="")
    started_by = models.CharField(max_length=150)
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True)
    quiet_at = models.DateTimeField(null=True)
    # The deliveries that were in flight when it began, and how each ended.
    certificate = models.JSONField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=150, default="", db_default="")
    ended_reason = models.TextField(default="", db_default="")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "kind"],
                condition=models.Q(ended_at__isnull=True),
                nulls_distinct=False,  # the workspace has no namespace, but one pause
                name="one_open_stop",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=[str(kind) for kind in Stopped]), name="stop_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(kind=Stopped.PAUSE, namespace__isnull=True)
                | ~models.Q(kind=Stopped.PAUSE) & models.Q(namespace__isnull=False),
                name="stop_of_a_namespace_or_of_all",
            ),
            models.CheckConstraint(
                condition=models.Q(quiet_at__isnull=True, certificate__isnull=True)
                | models.Q(quiet_at__isnull=False, certificate__isnull=False),
                name="stop_quiet_with_certificate",
            ),
        ]
        indexes = [
            # For deadlines, which don't count the time of stops.
            models.Index(fields=["namespace", "ended_at"], name="stop_history"),
            models.Index(
                fields=["until"],
                condition=models.Q(ended_at__isnull=True, until__isnull=False),
                name="stop_until",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} since {self.since:%Y-%m-%d %H:%M:%S} UTC"
