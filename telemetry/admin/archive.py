"""Days that were archived or dropped, their archives, and the nightly work."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from governance.console import filters
from governance.console.base import ReadOnlyAdmin
from telemetry.models import NightlyRun, TelemetryArchive, TelemetryDay


@admin.register(TelemetryArchive)
class TelemetryArchiveAdmin(ReadOnlyAdmin):
    """Archived events of a day and namespace."""

    namespace_path = "namespace"
    list_display = (
        "day",
        "namespace",
        "event_count",
        "size",
        "sha256",
        "created_at",
        "verified_at",
    )
    list_filter = (filters.NamespaceFilter,)
    search_fields = ("day",)
    search_help_text = "A day of UTC, such as 2026-01-31"
    links = ("day__exact",)


@admin.register(TelemetryDay)
class TelemetryDayAdmin(ReadOnlyAdmin):
    """Days whose events were archived or dropped. All others are stored."""

    list_display = ("day", "archived_at", "dropped_at")
    search_fields = ("day",)


@admin.register(NightlyRun)
class NightlyRunAdmin(ReadOnlyAdmin):
    """The operation run of each night's work."""

    list_display = ("day", "job", "operation_run")
    readonly_fields = ("operation_run",)
    hidden = ("operation_run_id",)

    @admin.display(description="operation run")
    def operation_run(self, night: NightlyRun) -> SafeString:
        return format_html(
            '<a href="{}">{}</a>',
            reverse("admin:governance_operationrun_change", args=[night.operation_run_id]),
            night.operation_run_id,
        )
