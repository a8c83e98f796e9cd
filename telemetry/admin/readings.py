"""What is read from events: artifacts, metrics, policy violations, error groups."""

from typing import Any, ClassVar

from django.contrib import admin

from governance.console import export
from governance.console.base import ReadOnlyAdmin
from telemetry.admin.links import LinkedAdmin
from telemetry.models import Artifact, ErrorGroup, Metric, PolicyViolation

_SHOWN = 300


class _ReadingAdmin(LinkedAdmin):
    """Rows that were read from one event each."""

    search_fields: ClassVar[Any] = ("session_id",)
    search_help_text = "The id of a session"
    links: ClassVar[tuple[str, ...]] = ("session_id__exact",)
    readonly_fields: ClassVar[Any] = ("session", "task")
    hidden = ("session_id", "task_id")


@admin.register(Artifact)
class ArtifactAdmin(_ReadingAdmin):
    """Files that tasks left behind."""

    list_display = (
        "occurred_at",
        "path_name",
        "size",
        "sha256",
        "media_type",
        "namespace",
        "session",
        "task",
    )


@admin.register(Metric)
class MetricAdmin(_ReadingAdmin):
    """Measured values."""

    list_display = ("at", "name", "value", "labels_shown", "namespace", "session", "task")
    search_fields = ("name",)
    search_help_text = "The name of a metric"
    links = ("session_id__exact", "name__exact")


@admin.register(PolicyViolation)
class PolicyViolationAdmin(_ReadingAdmin):
    """Files that break a rule of a policy."""

    list_display = (
        "occurred_at",
        "severity",
        "policy",
        "rule",
        "file",
        "host",
        "namespace",
        "session",
    )


@admin.register(ErrorGroup)
class ErrorGroupAdmin(ReadOnlyAdmin):
    """Equal errors of one stage, namespace and day."""

    namespace_path = "namespace"
    exported = export.columns(ErrorGroup)
    list_display = ("last_seen", "count", "text", "stage", "namespace", "first_seen")
    search_fields = ("day",)
    search_help_text = "A day of UTC, such as 2026-01-31"
    links = ("day__exact",)

    @admin.display(description="message")
    def text(self, group: ErrorGroup) -> str:
        return group.message[:_SHOWN]
