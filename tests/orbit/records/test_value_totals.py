"""The value ledger, added up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from governance.access.actors import SYSTEM, Actor
from governance.access.roles import ROLES
from governance.kernel.identifiers import uuid7
from orbit.models import ValueLedgerEntry
from orbit.records import value_totals
from orbit.records.value_totals import Period, RangeInvalid, Total

pytestmark = pytest.mark.django_db


def entry(
    tag: str,
    at: str,
    quantity: Any = 1,
    *,
    namespace: str = "eu",
    kind: str = "value",
    unit: str = "cycle",
    cycle: UUID | None = None,
) -> None:
    ValueLedgerEntry.objects.create(
        id=uuid7(),
        cycle_id=cycle or uuid7(),
        namespace=namespace,
        kind=kind,
        tag=tag,
        quantity=quantity,
        unit=unit,
        created_at=datetime.fromisoformat(at),
    )


def totals(
    period: Period, since: str, until: str, actor: Actor = SYSTEM, **narrow: str
) -> list[tuple[str, str, Decimal]]:
    answer = value_totals.totals(
        actor=actor,
        period=period,
        since=datetime.fromisoformat(since),
        until=datetime.fromisoformat(until),
        **narrow,
    )
    return [(row.begins, row.tag, row.quantity) for row in answer.rows]


def test_quantities_are_added_per_tag_and_day_week_and_month_of_utc() -> None:
    for at in (
        "2026-03-01T23:59:59Z",
        "2026-03-02T00:00:00Z",
        "2026-03-02T01:30:00+02:00",
        "2026-03-08T12:00:00Z",
    ):
        entry("kit", at)
    entry("deliveries", "2026-03-02T10:00:00Z", "6.5", kind="usage", unit="delivery")
    march = ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert totals(Period.DAY, *march) == [
        ("2026-03-08", "kit", 1),
        ("2026-03-02", "deliveries", Decimal("6.5")),
        ("2026-03-02", "kit", 1),
        ("2026-03-01", "kit", 2),
    ]
    assert totals(Period.WEEK, *march, tag="kit") == [
        ("2026-03-02", "kit", 2),
        ("2026-02-23", "kit", 2),
    ]
    assert totals(Period.MONTH, *march, tag="kit") == [("2026-03-01", "kit", 4)]
    assert totals(Period.DAY, "2026-03-02T00:00:00Z", "2026-03-08T12:00:00Z", tag="kit") == [
        ("2026-03-02", "kit", 1)
    ]


def test_a_cycle_with_many_entries_counts_once() -> None:
    cycle = uuid7()
    entry("a", "2026-03-01T10:00:00Z", cycle=cycle)
    entry("a", "2026-03-01T10:00:00Z", cycle=cycle, unit="page")
    entry("a", "2026-03-01T11:00:00Z")
    answer = value_totals.totals(
        actor=SYSTEM,
        period=Period.DAY,
        since=datetime(2026, 3, 1, tzinfo=UTC),
        until=datetime(2026, 3, 2, tzinfo=UTC),
    )
    assert [(row.unit, row.cycles) for row in answer.rows] == [("cycle", 2), ("page", 1)]


def test_a_confined_user_gets_the_totals_of_their_namespaces() -> None:
    entry("kit", "2026-03-01T10:00:00Z", namespace="eu")
    entry("kit", "2026-03-01T10:00:00Z", 5, namespace="us")
    march = ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    bea = Actor("bea", None, ROLES["Viewer"], frozenset({"us"}))
    assert totals(Period.MONTH, *march, actor=bea) == [("2026-03-01", "kit", 5)]
    assert totals(Period.MONTH, *march, actor=bea, namespace="eu") == []
    assert totals(Period.MONTH, *march, namespace="eu") == [("2026-03-01", "kit", 1)]
    assert totals(Period.MONTH, *march) == [("2026-03-01", "kit", 6)]


def test_an_empty_or_too_long_range_is_refused() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for since, until in (
        (now, now),
        (now, now - timedelta(days=1)),
        (now - timedelta(days=401), now),
    ):
        with pytest.raises(RangeInvalid, match="at most 400 days"):
            value_totals.totals(actor=SYSTEM, period=Period.DAY, since=since, until=until)
    answer = value_totals.totals(actor=SYSTEM, period=Period.DAY, until=now)
    assert answer.until - answer.since == timedelta(days=30)


def test_the_number_of_rows_is_limited_and_the_answer_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(value_totals, "LIMIT", 2)
    for number in range(3):
        entry(f"t{number}", "2026-03-01T10:00:00Z")
    answer = value_totals.totals(
        actor=SYSTEM,
        period=Period.DAY,
        since=datetime(2026, 3, 1, tzinfo=UTC),
        until=datetime(2026, 3, 2, tzinfo=UTC),
    )
    assert ([row.tag for row in answer.rows], answer.more) == (["t0", "t1"], True)


@pytest.mark.parametrize("tag", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_spreadsheet_takes_a_tag_for_a_formula(tag: str) -> None:
    lines = value_totals.as_csv(
        [Total("2026-03-01", "value", tag, "cycle", Decimal("-2.500000"), 1)]
    )
    assert f"'{tag}" in lines
    assert ",-2.5,1\r\n" in lines
    assert lines.startswith("begins,kind,tag,unit,quantity,cycles\r\n")


def test_a_range_is_found_by_its_time_and_not_by_reading_all() -> None:
    many = """INSERT INTO orbit_valueledgerentry
        (id, cycle_id, namespace, kind, tag, quantity, unit, created_at)
        SELECT gen_random_uuid(), gen_random_uuid(), 'eu', 'value', 'kit', 1, 'cycle',
            timestamptz '2026-03-01 00:00Z' - n * interval '10 minutes'
        FROM generate_series(1, 20000) AS n"""
    values = {
        "period": "day",
        "since": "2026-02-27T00:00:00Z",
        "until": "2026-03-01T00:00:00Z",
        "namespaces": ["eu"],
        "tag": None,
        "limit": 100,
    }
    with connection.cursor() as cursor:
        cursor.execute(many)
        cursor.execute("ANALYZE orbit_valueledgerentry")
        cursor.execute(f"EXPLAIN {value_totals.SUM.text}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "ledger_time" in plan
    assert "Seq Scan" not in plan
