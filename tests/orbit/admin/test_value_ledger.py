"""The value ledger in the console."""

import pytest

from governance.kernel.identifiers import uuid7
from orbit.models import ValueLedgerEntry
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
