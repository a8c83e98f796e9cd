"""Daily partitions are created ahead, once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from django.db import connection

from telemetry import partitions
from tests.support.pipeline import rows


@pytest.mark.django_db
def test_the_days_from_yesterday_to_a_week_ahead_are_there() -> None:
    assert partitions.ensure_ahead(date(2040, 2, 27)) == 9
    assert partitions.ensure_ahead(date(2040, 2, 28)) == 1
    assert partitions.ensure_ahead(date(2040, 2, 28)) == 0
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
def test_processes_that_make_them_at_once_do_not_collide() -> None:
    def make(_: int) -> int:
        try:
            return partitions.ensure_ahead(date(2041, 1, 1))
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(make, range(6))) == 9


@pytest.mark.django_db
def test_an_absurd_span_is_refused() -> None:
    with pytest.raises(Exception, match="at most 800 days"), connection.cursor() as cursor:
        cursor.execute("SELECT telemetry_ensure_partitions('2000-01-01', '2050-01-01')")
