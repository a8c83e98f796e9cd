"""The event log."""

from typing import Any

from django.contrib import admin

from governance.console import display, filters
from governance.console.base import ReadOnlyAdmin
from telemetry.models import TelemetryEvent


@admin.register(TelemetryEvent)
class TelemetryEventAdmin(ReadOnlyAdmin):
    """What happened."""

    namespace_path = "namespace"
    list_display = (
        "occurred_at",
        "name",
        "level_shown",
        "namespace",
        "profile_id",
        "run_id",
        "stage",
        "duration_ms",
    )
    list_filter = (
        filters.NamespaceFilter,
        filters.choice("level", ("debug", "info", "warning", "error")),
    )
    search_fields = ("id", "run_id")
    links = ("run_id", "run_id__exact")

    @admin.display(description="level")
    def level_shown(self, event: Any) -> str:
        """The level as a badge."""
        return display.badge(event.level)
