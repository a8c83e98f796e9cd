"""The read model of tasks, and how far it drifted from their events."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from governance.console import filters, pages
from governance.console.base import ReadOnlyAdmin, actor_of
from governance.plots import charts
from telemetry.admin import links
from telemetry.events import TaskStatus
from telemetry.models import TaskProjection
from telemetry.reconcile import run as reconcile


@admin.register(TaskProjection)
class TaskProjectionAdmin(ReadOnlyAdmin):
    """Tasks as their events tell them."""

    namespace_path = "namespace"
    list_title = "Task projection"
    badges = ("status",)
    list_display = (
        "task_id",
        "title",
        "status_badge",
        "last_status_ts",
        "priority",
        "namespace",
        "last_event_ts",
        "events",
    )
    list_filter = (filters.choice("status", TaskStatus),)
    search_fields = ("task_id",)
    search_help_text = "The id of a task"
    readonly_fields = ("events",)
    hidden = ("status_rank", "status_event_id", "start_event_id")
    change_list_template = "console/projection.html"

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        # A reconcile runs over all namespaces.
        if actor_of(request).namespaces is not None:
            return {}
        runs = reconcile.drift_history()
        points = [charts.Point(f"{at:%d %b %H:%M}", number) for at, number in runs]
        return {"drift": charts.line(points, title="Tasks that had drifted") if runs else "none"}

    @admin.display(description="events")
    def events(self, task: TaskProjection) -> SafeString:
        return links.events("task_id", task.task_id, "its events")


@pages.page("telemetry/projection/", "Task projection")
def projection(request: HttpRequest) -> pages.Answer:
    """Show the list of projected tasks."""
    answer: HttpResponse = admin.site.get_model_admin(TaskProjection).changelist_view(request)
    return answer
