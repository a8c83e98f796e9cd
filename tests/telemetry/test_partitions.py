"""Daily partitions are created in advance, once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from django.db import connection

from tests.support.pipeline import rows


def ensure_week(today: date) -> int:
    """Create the partitions from yesterday to a week ahead; return how many were created."""
    ((created_count,),) = rows(
        "SELECT telemetry_ensure_partitions(%s, %s)",
        today - timedelta(days=1),
        today + timedelta(days=7),
    )
    return int(created_count)


@pytest.mark.django_db
def test_the_days_from_yesterday_to_a_week_ahead_exist() -> None:
    assert ensure_week(date(2040, 2, 27)) == 9
    assert ensure_week(date(2040, 2, 28)) == 1
    assert ensure_week(date(2040, 2, 28)) == 0
    names = {
        name
        for (name,) in rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'telemetry_telemetryevent'::regclass"
        )
    }
    assert {
        "telemetry_telemetryevent_p20400226",
        "telemetry_telemetryevent_p20400229",
        "telemetry_telemetryevent_p20400306",
    } <= names


@pytest.mark.usefixtures("committed")
def test_processes_that_create_partitions_at_once_do_not_collide() -> None:
    def make(_: int) -> int:
        try:
            return ensure_week(date(2041, 1, 1))
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(make, range(6))) == 9


@pytest.mark.django_db
def test_an_absurd_span_is_refused() -> None:
    with pytest.raises(Exception, match="at most 800 days"), connection.cursor() as cursor:
        cursor.execute("SELECT telemetry_ensure_partitions('2000-01-01', '2050-01-01')")
