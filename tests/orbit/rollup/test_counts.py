"""Deliveries by hour and cycles by day are counted once, and outlive their rows."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections, transaction

from orbit.models import CycleDay, DeliveryHour
from orbit.rollup import counts
from tests.support.dead_letters import create_dead_letters
from tests.support.pipeline import configure_endpoints, rows
from tests.support.polling import until

ADD_RECEIPT = """
INSERT INTO orbit_deliveryreceipt
    (id, job_id, attempt, status, worker, fencing_token, started_at, finished_at, body_sha256)
SELECT orbit_uuid_floor(now() - %s::interval - (5 + random() * 100) * interval '1 ms'), job_id,
    1, %s, 'w', 1,
    now() - %s::interval, now(),   -- as a claim does: the id is a bit older
    repeat('0', 64)
FROM orbit_deadletterdispatch WHERE id = %s RETURNING id
"""


@pytest.fixture
def endpoint(settings: Any) -> None:
    configure_endpoints(settings, default_endpoint="http://127.0.0.1:9")


def attempt(age: str, status: str = "delivered", namespace: str = "a") -> Any:
    """Add a job in ``namespace`` with one attempt that began ``age`` ago; return the attempt."""
    [letter] = create_dead_letters(1, namespace=namespace)
    [(receipt,)] = rows(ADD_RECEIPT, age, status, age, letter)
    rows("DELETE FROM orbit_deadletterdispatch WHERE id = %s RETURNING id", letter)
    return receipt


def end_cycles(age: str, status: str) -> None:
    """Have the cycles of the last minute end so long ago: a minute or more."""
    rows(
        "UPDATE orbit_cyclerun SET finished_at = now() - %s::interval, status = %s"
        " WHERE finished_at > now() - interval '59 s' RETURNING id",
        age,
        status,
    )


def delivered(*scope: str) -> int:
    return sum(row[1] for row in counts.PER_HOUR.rows(scope=list(scope) or None))


def dead(*scope: str) -> int:
    return sum(row[2] for row in counts.PER_HOUR.rows(scope=list(scope) or None))


def failures(*scope: str) -> int:
    return sum(row[4] for row in counts.PER_DAY.rows(scope=list(scope) or None))


@pytest.mark.django_db
def test_deliveries_are_counted_by_hour_before_a_refresh_and_once_after_it(endpoint: None) -> None:
    attempt("3 hours")
    attempt("3 hours", "failed")
    attempt("1 second", namespace="b")
    assert (delivered(), delivered("a"), delivered("b")) == (2, 1, 1)
    for _ in range(4):
        counts.refresh()
    assert (delivered(), delivered("a"), delivered("b")) == (2, 1, 1)
    # That of b is counted too, if ten seconds have passed.
    hour = DeliveryHour.objects.get(namespace="a", delivered__gt=0)
    assert hour.delivered == 1
    [(begins,)] = rows("SELECT date_trunc('hour', now() - interval '3 hours')")
    assert hour.hour == begins


@pytest.mark.django_db
def test_the_mark_waits_for_an_attempt_in_flight(endpoint: None) -> None:
    counts.refresh()  # makes the marks
    in_flight = attempt("2 minutes", "sending")
    attempt("1 minute")
    counts.refresh()
    assert not DeliveryHour.objects.exists()
    assert delivered() == 1
    rows(
        "UPDATE orbit_deliveryreceipt SET status = 'delivered' WHERE id = %s RETURNING id",
        in_flight,
    )
    counts.refresh()
    assert sum(DeliveryHour.objects.values_list("delivered", flat=True)) == 2 == delivered()


@pytest.mark.django_db
def test_a_mark_of_a_wrong_clock_is_put_back(endpoint: None) -> None:
    counts.refresh()
    rows(
        "UPDATE orbit_rollupmark SET at = now() + interval '1 year',"
        " after = orbit_uuid_floor(now() + interval '1 year') RETURNING kind"
    )
    counts.refresh()
    rows(
        "UPDATE orbit_rollupmark SET at = at - interval '1 hour',"
        " after = orbit_uuid_floor(at - interval '1 hour') RETURNING kind"
    )
    attempt("1 minute")
    end_cycles("1 minute", "failed")
    counts.refresh()
    assert (delivered(), failures()) == (1, 1)
    assert sum(DeliveryHour.objects.values_list("delivered", flat=True)) == 1


@pytest.mark.django_db
def test_what_a_wrong_clock_counted_is_not_counted_again(endpoint: None) -> None:
    counts.refresh()
    attempt("-2 hours")  # of the future, in which it was counted
    attempt("-2 hours", namespace="b")
    end_cycles("-2 days", "failed")
    rows(
        "INSERT INTO orbit_deliveryhour (namespace, hour, delivered, dead)"
        " SELECT n, date_trunc('hour', now() + interval '2 hours'), 1, 0"
        " FROM unnest(ARRAY['a', 'b']) AS n RETURNING 1"
    )
    rows(
        "INSERT INTO orbit_cycleday (namespace, day, failed)"
        " VALUES ('a', (now() AT TIME ZONE 'UTC')::date + 2, 2) RETURNING 1"
    )
    rows(
        "UPDATE orbit_rollupmark SET at = now() + interval '3 days',"
        " after = orbit_uuid_floor(now() + interval '3 days') RETURNING kind"
    )
    attempt("1 second")  # of the time since the clock is right; its cycle has failed
    assert (delivered(), failures()) == (2, 2)
    for _ in range(2):
        counts.refresh()
        assert (delivered(), delivered("b"), failures()) == (3, 1, 3)


@pytest.mark.django_db
def test_letters_keep_their_counts_if_only_the_mark_of_attempts_is_put_back(
    endpoint: None,
) -> None:
    counts.refresh()
    rows(
        "INSERT INTO orbit_deliveryhour (namespace, hour, delivered, dead)"
        " VALUES ('a', date_trunc('hour', now()), 5, 7) RETURNING 1"
    )
    rows(
        "UPDATE orbit_rollupmark SET at = now() + interval '1 hour',"
        " after = orbit_uuid_floor(now() + interval '1 hour') WHERE kind = 'receipts' RETURNING 1"
    )
    counts.refresh()
    assert (delivered(), dead()) == (0, 7)


@pytest.mark.django_db
def test_an_attempt_that_never_ends_doesnt_hold_the_mark_for_ever(endpoint: None) -> None:
    counts.refresh()
    attempt("20 hours", "sending")
    attempt("19 hours")
    counts.refresh()
    assert sum(DeliveryHour.objects.values_list("delivered", flat=True)) == 1


@pytest.mark.django_db
def test_hours_and_days_outlive_their_rows(endpoint: None) -> None:
    create_dead_letters(3)
    end_cycles("2 days", "failed")
    rows(
        "UPDATE orbit_deadletterdispatch SET id = orbit_uuid_floor(now() - interval '1 hour'"
        " - job_place * interval '1 ms'), created_at = now() - interval '1 hour'"
        " FROM (SELECT id AS old, row_number() OVER () AS job_place FROM orbit_deadletterdispatch)"
        " AS o WHERE o.old = orbit_deadletterdispatch.id RETURNING 1"
    )
    counts.refresh()
    counts.refresh()
    rows("DELETE FROM orbit_deadletterdispatch RETURNING id")
    rows("UPDATE orbit_cyclerun SET finished_at = now() - interval '60 days' RETURNING id")
    assert (dead(), failures(), failures("b")) == (3, 3, 0)
    [day] = CycleDay.objects.all()
    assert [(day.day,)] == rows("SELECT (now() AT TIME ZONE 'UTC')::date - 2")


@pytest.mark.django_db
def test_many_rows_are_counted_in_steps(endpoint: None, monkeypatch: Any) -> None:
    create_dead_letters(5)
    end_cycles("1 day", "partial_success")
    text = counts.ADVANCE.text.replace(f"LIMIT {counts.MOST}", "LIMIT 2")
    monkeypatch.setattr(
        counts, "ADVANCE", type(counts.ADVANCE)("advance", text, counts.ADVANCE.params)
    )
    counts.refresh()
    totals = []
    for _ in range(4):
        counts.refresh()
        totals.append(sum(CycleDay.objects.values_list("partial_success", flat=True)))
        assert sum(row[3] for row in counts.PER_DAY.rows(scope=None)) == 5
    assert totals == [2, 4, 5, 5]


@pytest.mark.django_db
def test_what_is_behind_is_caught_up(endpoint: None, monkeypatch: Any) -> None:
    text = counts.ADVANCE.text.replace(f"LIMIT {counts.MOST}", "LIMIT 2")
    advance = type(counts.ADVANCE)("advance", text, counts.ADVANCE.params)
    monkeypatch.setattr(counts, "ADVANCE", advance)
    monkeypatch.setattr(counts, "MOST", 2)
    counts.refresh()  # makes the marks
    create_dead_letters(9)
    end_cycles("1 day", "failed")
    totals = []
    for _ in range(3):
        counts.catch_up(rounds=3)
        totals.append(sum(CycleDay.objects.values_list("failed", flat=True)))
    assert totals == [6, 9, 9]


def test_a_refresh_that_is_rolled_back_counts_nothing_and_a_second_one_doesnt_wait(
    committed: str, endpoint: None
) -> None:
    counts.refresh()
    create_dead_letters(2)
    end_cycles("1 day", "failed")
    with transaction.atomic():
        counts.refresh()
        other = connections.create_connection("default")
        try:
            with other.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1s'")
                cursor.execute("SELECT kind FROM orbit_rollupmark FOR NO KEY UPDATE SKIP LOCKED")
                assert cursor.fetchall() == []
                nothing: dict[str, Any] = {"written": datetime.now(UTC), "locked": []}
                cursor.execute(counts.ADVANCE.text, nothing)
                assert cursor.fetchone() == (0, 0, 0)
        finally:
            other.close()
        transaction.set_rollback(True)
    assert not CycleDay.objects.exists()
    counts.refresh()
    assert failures() == 2
    assert sum(CycleDay.objects.values_list("failed", flat=True)) == 2


def test_what_is_committed_late_is_counted_once(
    committed: str, endpoint: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = counts.ADVANCE.text.replace(f"'{counts.DELIVERY_LAG} s'", "'0 s'")
    text = text.replace(f"'{counts.CYCLE_LAG} s'", "'0 s'")
    monkeypatch.setattr(
        counts, "ADVANCE", type(counts.ADVANCE)("advance", text, counts.ADVANCE.params)
    )
    counts.refresh()
    create_dead_letters(2)
    late, early = (
        row[0]
        for row in rows(
            "UPDATE orbit_deadletterdispatch SET id = orbit_uuid_floor("
            "now() - interval '30 hours' - random() * interval '1 hour') RETURNING id"
        )
    )
    cycle_of = "(SELECT cycle_id FROM orbit_deadletterdispatch WHERE id = %s)"
    end = (
        f"WITH c AS (UPDATE orbit_cyclerun SET finished_at = clock_timestamp(), status = 'failed'"
        f" WHERE id = {cycle_of}) UPDATE orbit_deadletterdispatch"
        " SET id = orbit_uuid_floor(clock_timestamp()) WHERE id = %s RETURNING id"
    )
    rows("UPDATE orbit_cyclerun SET finished_at = now() - interval '15 days' RETURNING id")
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(end, [late, late])
            rows("SELECT pg_sleep(0.002)")  # ids of one millisecond would be equal
            rows(end, early, early)
            counts.refresh()
            cursor.execute("COMMIT")
    finally:
        other.close()

    def is_counted() -> bool:
        counts.refresh()
        assert (dead(), failures()) == (2, 2)
        hours = DeliveryHour.objects.values_list("dead", flat=True)
        return sum(hours) == sum(CycleDay.objects.values_list("failed", flat=True)) == 2

    # PostgreSQL's own work, such as an analyze, holds the mark back for a moment.
    until(is_counted)
    assert is_counted()
