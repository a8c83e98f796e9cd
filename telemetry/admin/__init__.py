"""The console's pages of telemetry."""

from telemetry.admin import archive, coverage, events, projection, readings
