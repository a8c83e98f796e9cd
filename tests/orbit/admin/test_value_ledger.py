"""The value ledger in the console."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from governance.kernel.identifiers import uuid7
from orbit.models import ValueLedgerEntry
from orbit.records import value_totals
from orbit.records.value_totals import Period, Total, Totals
from tests.support.callers import console, create_user

pytestmark = pytest.mark.django_db
PATH = "/admin/orbit/valueledgerentry/"


def entry(tag: str, namespace: str, quantity: str) -> None:
    ValueLedgerEntry.objects.create(
        id=uuid7(),
        cycle_id=uuid7(),
        namespace=namespace,
        kind="value",
        tag=tag,
        quantity=quantity,
        unit="cycle",
    )


def test_totals_are_above_the_entries_with_a_link_to_their_file() -> None:
    entry("kit", "eu", "1.5")
    entry("kit", "us", "4")
    browser = console(create_user("vic", "Viewer"))
    page = browser.get(PATH).content.decode()
    assert "5.5" in page
    assert "/value-ledger/totals.csv?period=day" in page
    answer = browser.get(f"{PATH}?period=month&namespace=us")
    assert (
        [row.quantity for row in answer.context["totals"].rows],
        "period=month&amp;namespace=us" in answer.content.decode(),
    ) == ([4], True)
    assert (
        browser.get("/value-ledger/totals.csv?period=month&namespace=us")
        .content.decode()
        .splitlines()[1]
        .endswith(",kit,cycle,4,1")
    )


def test_confined_users_get_the_totals_of_their_namespaces() -> None:
    entry("kit", "eu", "1.5")
    entry("kit", "us", "4")
    answer = console(create_user("bea", "Viewer", "us")).get(f"{PATH}?namespace=eu")
    assert answer.context["totals"].rows == []
    assert [
        row.quantity
        for row in console(create_user("cat", "Viewer", "us")).get(PATH).context["totals"].rows
    ] == [4]


@pytest.mark.parametrize("query", ["period=year", "period=%FF", "tag=%25", "namespace=%27"])
def test_an_odd_address_is_no_server_error(query: str) -> None:
    assert console(create_user("vic", "Viewer")).get(f"{PATH}?{query}").status_code in {
        200,
        302,
        400,
    }


def test_bars_show_each_tag_in_each_day_of_the_range() -> None:
    entry("kit", "eu", "3")
    entry("kit", "eu", "4")
    entry("ad", "eu", "2")
    answer = console(create_user("vic", "Viewer")).get(PATH)
    bars = value_totals.bars(answer.context["totals"])
    assert bars is not None
    assert (bars.unit, bars.tags, len(bars.periods)) == ("cycle", ["kit", "ad"], 31)
    assert [7, 2] in [values for _, values in bars.periods[-2:]]  # a day may have begun since
    page = answer.content.decode()
    assert "cycle per day: 7 kit, 2 ad" in page
    assert (
        value_totals.bars(console(create_user("bea", "Viewer", "us")).get(PATH).context["totals"])
        is None
    )


@pytest.mark.parametrize(
    ("period", "first", "number"),
    [
        (Period.DAY, date(2026, 1, 30), 3),
        (Period.WEEK, date(2026, 1, 26), 1),
        (Period.MONTH, date(2026, 1, 1), 2),
    ],
)
def test_periods_without_an_entry_have_a_bar_too(period: Period, first: date, number: int) -> None:
    totals = Totals(
        period,
        datetime(2026, 1, 30, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
        [Total("2026-01-30", "value", "kit", "cycle", Decimal(1), 1)],
        more=False,
    )
    bars = value_totals.bars(totals)
    assert bars is not None
    assert (bars.periods[0][0], len(bars.periods)) == (first, number)
