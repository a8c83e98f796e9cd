"""The console's pages about everything. Django's autodiscovery loads this module."""

from orbit_site.console import handover, saved, search, system

__all__ = ["handover", "saved", "search", "system"]
