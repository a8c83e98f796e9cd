"""The event log."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from governance import display
from governance.console import export, filters
from governance.console.base import BoundedChangeList
from governance.kernel import clock
from telemetry import reading
from telemetry.admin.links import LinkedAdmin
from telemetry.events import Level
from telemetry.models import TelemetryEvent

#: Ranges of the list, by their hours.
_RANGES = {1: "1 hour", 24: "24 hours", 168: "7 days", 720: "30 days"}
_USUAL = 24


class _Events(BoundedChangeList):
    """Names an event's time too: the table has no index on ids alone."""

    def url_for_result(self, result: Any) -> str:
        at = urlencode({"at": result.occurred_at.isoformat()})
        return f"{super().url_for_result(result)}?{at}"


class HoursFilter(filters.TypedFilter):
    """The events of the last hours, a day unless chosen, or those of one run, session or task."""

    title, parameter_name = "hours", "hours"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if _names_one(request):
            return queryset
        since = clock.now() - timedelta(hours=_hours(request))
        return queryset.filter(occurred_at__gte=since)


@admin.register(TelemetryEvent)
class TelemetryEventAdmin(LinkedAdmin):
    """What happened."""

    exported = export.columns(TelemetryEvent)
    badges = ("level",)
    list_display = (
        "occurred_at",
        "name",
        "level_badge",
        "namespace",
        "session",
        "task",
        "run",
        "stage",
        "took",
    )
    list_title = "Telemetry events"
    list_filter = (HoursFilter, filters.choice("level", Level))
    change_list_template = "console/events.html"
    change_list = _Events
    search_fields = ("run_id", "session_id", "task_id")
    search_help_text = "The id of a cycle, a session or a task"
    links = ("run_id", "run_id__exact", "session_id__exact", "task_id__exact")

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        if _names_one(request):
            return {}
        query = request.GET.copy()
        ranges = []
        for hours, words in _RANGES.items():
            query["hours"] = str(hours)
            is_here = hours == _hours(request)
            ranges.append({"words": words, "query": f"?{query.urlencode()}", "is_here": is_here})
        return {"ranges": ranges}

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> TelemetryEvent | None:
        try:
            event_id = UUID(object_id)
        except ValueError:
            return None
        rows: QuerySet[Any] = self.get_queryset(request).filter(id=event_id)
        return reading.near(rows, event_id, at=request.GET.get("at"))

    @admin.display(description="took")
    def took(self, event: TelemetryEvent) -> str:
        return "-" if event.duration_ms is None else display.duration(event.duration_ms / 1000)


def _names_one(request: HttpRequest) -> bool:
    """Return whether the address names a run, session or task: they have an index."""
    return bool(
        {"q", *TelemetryEventAdmin.links} & {name for name, value in request.GET.items() if value}
    )


def _hours(request: HttpRequest) -> int:
    text = request.GET.get("hours", "")
    return int(text) if text in map(str, _RANGES) else _USUAL
