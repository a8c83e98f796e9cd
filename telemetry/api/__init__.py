"""The REST resources of telemetry."""
