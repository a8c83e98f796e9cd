"""App configuration."""

from django.apps import AppConfig


class OrbitConfig(AppConfig):
    """The app ``orbit``."""

    name = "orbit"
