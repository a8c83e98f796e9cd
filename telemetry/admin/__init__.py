"""The console's pages of telemetry."""

from telemetry.admin import coverage, events

__all__ = ["coverage", "events"]
