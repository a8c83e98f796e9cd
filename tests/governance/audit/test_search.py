"""A search by time finds what it says, also if a clock was set back."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from governance.audit.search import Search
from governance.models import AuditTrailEntry

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def write(*minutes: int) -> None:
    """Write entries 1, 2, ... of these minutes after noon."""
    for number, minute in enumerate(minutes, start=1):
        AuditTrailEntry.objects.create(
            id=number,
            at=NOON + timedelta(minutes=minute),
            actor="ann",
            action="a",
            previous_hash="",
            hash=str(number),
        )


def found(since: int | None, until: int | None) -> list[int]:
    search = Search(
        since=None if since is None else NOON + timedelta(minutes=since),
        until=None if until is None else NOON + timedelta(minutes=until),
    )
    return list(search.entries().order_by("id").values_list("id", flat=True))


def test_a_span_has_its_first_moment_and_not_its_last() -> None:
    write(0, 10, 20)
    assert found(10, 20) == [2]
    assert found(10, None) == [2, 3]
    assert found(None, 10) == [1]
    assert found(10, 10) == found(21, None) == found(None, 0) == []


def test_entries_after_a_clock_was_set_back_are_found_by_their_times() -> None:
    write(0, 14, 10, 100, 20, 90, 110)
    assert found(5, 30) == [2, 3, 5]
    assert found(None, 15) == [1, 2, 3]
    assert found(85, None) == [4, 6, 7]


def test_entries_just_before_a_clock_was_set_back_are_found_in_a_quiet_trail() -> None:
    write(-300, 65, -50, 200)  # the third is the only one of the two hours before minute 60
    assert found(60, None) == [2, 4]
    assert found(None, -40) == [1, 3]
    assert found(60, 70) == [2]


@pytest.mark.parametrize("by_index", ["on", "off"])
def test_all_entries_of_one_transaction_are_found_however_the_planner_reads(by_index: str) -> None:
    write(0, 0, 0, 0, 0)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL enable_indexscan = {by_index}")
        cursor.execute(f"SET LOCAL enable_bitmapscan = {by_index}")
    assert found(0, 1) == found(-200, 200) == [1, 2, 3, 4, 5]


def test_only_entries_of_the_given_namespaces_are_found() -> None:
    write(0)
    assert Search().entries().count() == 1
    assert Search().entries(["eu"]).count() == Search().entries([]).count() == 0
