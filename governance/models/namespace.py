"""Namespaces, the tenants, and what governs each."""

import uuid

from django.db import models
from django.db.models.functions import Now

from governance.states import Mode

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Namespace(models.Model):
    """A tenant: the boundary of isolation."""

    name = models.CharField(max_length=100, unique=True)
    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(name__regex=NAME_PATTERN), name="namespace_name_pattern")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GovernanceSetting(models.Model):
    """One row per namespace: may work go on there?"""

    namespace = models.OneToOneField(Namespace, on_delete=models.PROTECT, related_name="setting")
    halt = models.BooleanField(default=False, db_default=False)
    mode = models.CharField(max_length=16, default=Mode.RUNNING, db_default=Mode.RUNNING)
    reason = models.TextField(default="", blank=True, db_default="")
    changed_by = models.CharField(max_length=150, default="", blank=True, db_default="")
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(mode__in=[str(mode) for mode in Mode]), name="setting_mode"),
            models.CheckConstraint(
                condition=models.Q(halt=True, mode__in=[Mode.HALTING, Mode.QUIET]) | models.Q(halt=False, mode__in=[Mode.RUNNING, Mode.DRAINING]),
                name="setting_halt_matches_mode",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.namespace}: {self.mode}"
