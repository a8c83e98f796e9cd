"""The coverage page: a grid of sessions and the events that they had to report."""

from django.http import HttpRequest

from governance.console import pages
from governance.console.base import narrowed
from telemetry import coverage


@pages.page("telemetry/coverage/", "Coverage", "console/coverage.html")
def page(request: HttpRequest) -> pages.Answer:
    """Show the sessions of a range of time, those with gaps first."""
    return {"page": coverage.page(request.GET.dict(), namespaces=narrowed(request).namespaces)}
