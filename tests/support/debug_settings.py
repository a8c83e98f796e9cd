"""Orbit's settings with every logger at DEBUG."""

from orbit_site.settings import *  # noqa: F403
from orbit_site.settings import LOGGING

LOGGING["root"]["level"] = "DEBUG"
for _logger in LOGGING["loggers"].values():
    _logger["level"] = "DEBUG"
