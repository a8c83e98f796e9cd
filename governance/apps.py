"""App configuration."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """The app ``governance``."""

    name = "governance"
