"""The console's pages about everything. Django's autodiscovery loads this module."""

from orbit_site.console import reports

__all__ = ["reports"]
