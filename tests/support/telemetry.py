"""Reads telemetry's tables, whichever database they are in."""

from typing import Any

from telemetry import database


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run ``sql`` on the database of telemetry; return the rows."""
    with database.connection().cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
