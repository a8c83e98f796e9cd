"""Wait for sessions of the database that wait for locks."""

from django.db import connection

from tests.support.polling import until

_BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
    AND cardinality(pg_blocking_pids(pid)) > 0
"""


def until_blocked(number: int) -> None:
    """Wait until so many sessions wait for locks of others."""

    def count() -> bool:
        with connection.cursor() as cursor:
            # A transaction sees the activity as it was at its first look.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(_BLOCKED)
            (blocked,) = cursor.fetchone()
        return bool(blocked == number)

    until(count, f"{number} sessions that wait for locks", seconds=60)
