"""The database of telemetry: the main one, or its own (``ORBIT_TELEMETRY_DATABASE_URL``)."""

from dataclasses import replace

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from governance.kernel import sql
from governance.kernel.sql import Fragment, Statement

ALIAS = "telemetry" if "telemetry" in settings.DATABASES else DEFAULT_DB_ALIAS
IS_SEPARATE = ALIAS != DEFAULT_DB_ALIAS


def connection() -> BaseDatabaseWrapper:
    """Return this thread's connection to the database of telemetry."""
    return connections[ALIAS]


def load(module: str, name: str, **fragments: Fragment | str | int | float) -> Statement:
    """Return the statement ``sql/<name>.sql`` beside ``module``, for the database of telemetry."""
    return replace(sql.load(module, name, **fragments), using=ALIAS)
