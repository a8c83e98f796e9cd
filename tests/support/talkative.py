"""Orbit's own settings with every logger at DEBUG: what a process says when it is asked to say everything."""

from orbit_site.settings import *  # noqa: F403
from orbit_site.settings import LOGGING

LOGGING["root"]["level"] = "DEBUG"
for _logger in LOGGING["loggers"].values():
    _logger["level"] = "DEBUG"
