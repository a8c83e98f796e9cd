"""Links from one list of telemetry to another."""

from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


def rows(table: str, field: str, value: object, text: object = None) -> SafeString:
    """Link to the rows of ``table`` whose ``field`` is ``value``; "-" without a value."""
    if value is None:
        return SafeString("-")
    return format_html(
        '<a href="{}?{}">{}</a>',
        reverse(f"admin:telemetry_{table}_changelist"),
        urlencode({f"{field}__exact": str(value)}),
        value if text is None else text,
    )


def events(field: str, value: object, text: object = None) -> SafeString:
    """Link to the events whose ``field`` is ``value``."""
    return rows("telemetryevent", field, value, text)
