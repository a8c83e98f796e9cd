"""Sends the models of telemetry to its own database."""

from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from telemetry import database

APP = "telemetry"
#: They belong to transactions of the main database.
IN_MAIN = {"outboxevent", "refusedevent", "outboxstate"}


class Router:
    """Django's router, with a database of telemetry's own."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias of the database that has ``model``."""
        return _alias(model)

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias of the database that has ``model``."""
        return _alias(model)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """Only telemetry's tables are in its database; the main one has all."""
        return db == DEFAULT_DB_ALIAS or app_label == APP


def _alias(model: type[Model]) -> str | None:
    if model._meta.app_label != APP or model._meta.model_name in IN_MAIN:
        return None
    return database.ALIAS
