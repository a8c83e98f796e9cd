"""The page of the system's health."""

from django.http import HttpRequest, HttpResponse

from governance.console import pages
from orbit_site import system


@pages.page("health/", name="health", title="System", workspace=True)
def page(request: HttpRequest) -> HttpResponse:
    """Show what is not well first, then every line."""
    return pages.draw(request, "console/system.html", title="System", system=system.read())
