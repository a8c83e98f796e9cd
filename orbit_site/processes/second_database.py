"""Telemetry's own database: never the main one under another name."""

import secrets

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from telemetry import database

_LOCK = "SELECT pg_try_advisory_lock(%s)"
_UNLOCK = "SELECT pg_advisory_unlock(%s)"


def refuse_main() -> None:
    """Raise ImproperlyConfigured if both URLs lead to one database. Raises OperationalError."""
    # Host names, addresses and poolers may differ. A lock of one database can't be taken twice.
    key = secrets.randbits(62)
    with connection.cursor() as cursor, database.connection().cursor() as other:
        cursor.execute(_LOCK, [key])
        try:
            other.execute(_LOCK, [key])
            is_other = other.fetchone() == (True,)
            if is_other:
                other.execute(_UNLOCK, [key])
        finally:
            cursor.execute(_UNLOCK, [key])
    if not is_other:
        raise ImproperlyConfigured(
            "ORBIT_TELEMETRY_DATABASE_URL leads to the database of DATABASE_URL. Name another one, "
            "or unset it to keep telemetry in the main database."
        )
