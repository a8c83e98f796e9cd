"""App configurations of the site and its console."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks

if TYPE_CHECKING:
    from governance.operations.slices import Slice


class SiteConfig(AppConfig):
    """Commands, checks and templates."""

    name = "orbit_site"
    verbose_name = "Orbit"

    def ready(self) -> None:
        """Register the checks of production, and have alerts evaluated."""
        # It needs models, which can't be imported before.
        from governance.operations import periodic
        from governance.states import Every

        checks.register(_check_production, deploy=True)
        periodic.register(periodic.Work("ops.evaluate_alerts", Every.MINUTE, _evaluate_alerts))


class ConsoleConfig(SimpleAdminConfig):
    """Django's admin, on our site.

    The URLconf discovers the pages: commands and workers, which answer no request, start a quarter
    faster without them.
    """

    default_site = "orbit_site.console.site.OrbitAdminSite"

    def ready(self) -> None:
        """Register the checks of the admin."""
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_console, checks.Tags.admin)


def _evaluate_alerts(slice_: "Slice") -> datetime | None:
    # Commands and web start faster without what this imports.
    from orbit_site import alerting

    return alerting.run_slice(slice_)


def _check_production(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    # Other commands start a sixth faster without what these import.
    from orbit_site import checks as production

    return production.findings()


def _check_console(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    admin.autodiscover()
    return list(check_admin_app(app_configs, **kwargs))
