"""The event log."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from governance.console import display, filters
from governance.console.base import BoundedChangeList, ReadOnlyAdmin
from governance.kernel import identifiers
from governance.rest import queries
from telemetry.admin import links
from telemetry.events import Level
from telemetry.models import TelemetryEvent

# A runner's clock may differ from the one that made the id.
_AROUND = timedelta(days=1)


class _Events(BoundedChangeList):
    """Names an event's time too: the table has no index on ids alone."""

    def url_for_result(self, result: Any) -> str:
        at = urlencode({"at": result.occurred_at.isoformat()})
        return f"{super().url_for_result(result)}?{at}"


@admin.register(TelemetryEvent)
class TelemetryEventAdmin(ReadOnlyAdmin):
    """What happened."""

    namespace_path = "namespace"
    exported = (
        "id",
        "occurred_at",
        "recorded_at",
        "name",
        "level",
        "namespace",
        "profile_id",
        "run_id",
        "session_id",
        "task_id",
        "stage",
        "duration_ms",
        "metadata",
    )
    list_display = (
        "occurred_at",
        "name",
        "level_shown",
        "namespace",
        "session",
        "task",
        "run",
        "stage",
        "duration_ms",
    )
    list_filter = (filters.choice("level", Level),)
    search_fields = ("run_id", "session_id", "task_id")
    search_help_text = "The id of a cycle, a session or a task"
    links = ("run_id", "run_id__exact", "session_id__exact", "task_id__exact")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _Events

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> TelemetryEvent | None:
        try:
            event_id = UUID(object_id)
        except ValueError:
            return None
        rows: QuerySet[Any] = self.get_queryset(request).filter(id=event_id)
        event: TelemetryEvent | None = _near(rows, request.GET.get("at"), event_id) or rows.first()
        return event

    @admin.display(description="level")
    def level_shown(self, event: TelemetryEvent) -> SafeString:
        return display.badge(event.level)

    @admin.display(description="session")
    def session(self, event: TelemetryEvent) -> SafeString:
        return links.events("session_id", event.session_id)

    @admin.display(description="task")
    def task(self, event: TelemetryEvent) -> SafeString:
        return links.events("task_id", event.task_id)

    @admin.display(description="run")
    def run(self, event: TelemetryEvent) -> SafeString:
        return links.events("run_id", event.run_id)


def _near(rows: "QuerySet[Any]", at: str | None, event_id: UUID) -> Any:
    """Return the event at the time ``at``, or near the one that its id names."""
    try:
        if at:
            return rows.filter(occurred_at=queries.moment(at)).first()
        made_at = identifiers.moment_of(event_id)
        if made_at is None:
            return None
        return rows.filter(occurred_at__range=(made_at - _AROUND, made_at + _AROUND)).first()
    except (ValueError, OverflowError):
        return None
