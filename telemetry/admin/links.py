"""Links from a row of telemetry to the events of its session, task or run."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from governance.console.base import ReadOnlyAdmin


def events(field: str, value: object, text: object = None) -> SafeString:
    """Link to the events whose ``field`` is ``value``; "-" without a value."""
    if value is None:
        return SafeString("-")
    return format_html(
        '<a href="{}?{}">{}</a>',
        reverse("admin:telemetry_telemetryevent_changelist"),
        urlencode({f"{field}__exact": str(value)}),
        value if text is None else text,
    )


class LinkedAdmin(ReadOnlyAdmin):
    """Rows that come from events."""

    namespace_path = "namespace"

    @admin.display(description="session")
    def session(self, row: Any) -> SafeString:
        return events("session_id", row.session_id)

    @admin.display(description="task")
    def task(self, row: Any) -> SafeString:
        return events("task_id", row.task_id)

    @admin.display(description="run")
    def run(self, row: Any) -> SafeString:
        return events("run_id", row.run_id)
