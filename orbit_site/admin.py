"""The console's pages about everything. Django's autodiscovery loads this module."""

from orbit_site.console import preferences, reports

__all__ = ["preferences", "reports"]
