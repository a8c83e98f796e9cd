"""Partitions of the event log, made ahead."""

from datetime import date, timedelta

from django.db import connection


def ensure_ahead(today: date, *, days: int = 7) -> int:
    """Make the daily partitions from the day before ``today`` to ``days`` after it; return how many were missing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT telemetry_ensure_partitions(%s, %s)",
            [today - timedelta(days=1), today + timedelta(days=days)],
        )
        return int(cursor.fetchone()[0])
