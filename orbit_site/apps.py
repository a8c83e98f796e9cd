"""App configurations of the site and its console."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class SiteConfig(AppConfig):
    """Commands, checks and templates."""

    name = "orbit_site"
    verbose_name = "Orbit"

    def ready(self) -> None:
        """Register the system checks."""
        from orbit_site import checks  # noqa: F401 - importing registers


class ConsoleConfig(AdminConfig):
    """Django's admin, on our site."""

    default_site = "orbit_site.console.site.OrbitAdminSite"
