"""The resources of telemetry, one module each."""
