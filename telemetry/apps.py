"""App configuration."""

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    """The app ``telemetry``."""

    name = "telemetry"
