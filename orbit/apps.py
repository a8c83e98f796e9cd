"""App configuration."""

from django.apps import AppConfig

from orbit.conductor import authority


class OrbitConfig(AppConfig):
    """The app ``orbit``."""

    name = "orbit"

    def ready(self) -> None:
        """Telemetry's reconciliation compares with the conductor's tasks."""
        authority.register()
