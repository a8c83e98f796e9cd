"""The console's pages of telemetry."""

from telemetry.admin import archive, events, projection, readings

__all__ = ["archive", "events", "projection", "readings"]
