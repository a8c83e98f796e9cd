"""App configuration."""

from django.apps import AppConfig


class AdvisoryConfig(AppConfig):
    """The app ``advisory``."""

    name = "advisory"
