"""The tables of telemetry."""

from telemetry.models.event import TelemetryEvent

__all__ = ["TelemetryEvent"]
