"""The page of the system's health."""

from django.http import HttpRequest

from governance.console import pages
from orbit_site import system


@pages.page("health/", "System", "console/system.html", workspace=True)
def page(request: HttpRequest) -> pages.Answer:
    """Show what is not well first, then every line."""
    return {"system": system.read()}
