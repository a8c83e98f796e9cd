"""The console's pages of telemetry."""

from telemetry.admin import events

__all__ = ["events"]
