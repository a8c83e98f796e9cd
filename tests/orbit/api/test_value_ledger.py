"""GET /value-ledger and its totals."""

import csv
import io

import pytest
from django.test import Client

from governance.kernel.identifiers import uuid7
from orbit.models import ValueLedgerEntry
from tests.support.callers import api, create_user, problem

pytestmark = pytest.mark.django_db


def entry(tag: str, namespace: str = "eu", **more: object) -> ValueLedgerEntry:
    members = {"kind": "value", "quantity": 1, "unit": "cycle", **more}
    return ValueLedgerEntry.objects.create(
        id=uuid7(), cycle_id=uuid7(), namespace=namespace, tag=tag, **members
    )


def test_entries_are_listed_newest_first_and_filtered() -> None:
    first, second = (
        entry("kit", run_profile_id="r1"),
        entry("kit", "us", kind="usage", quantity="2.5", unit="delivery"),
    )
    client = api(create_user("vic", "Viewer"))
    results = client.get("/value-ledger").json()["results"]
    assert [(row["id"], row["quantity"]) for row in results] == [
        (str(second.pk), "2.5"),
        (str(first.pk), "1"),
    ]
    for query, expected in (
        ("namespace=us", second),
        ("run_profile_id=r1", first),
        ("kind=usage", second),
        (f"cycle_run_id={first.cycle_id}", first),
    ):
        assert [row["id"] for row in client.get(f"/value-ledger?{query}").json()["results"]] == [
            str(expected.pk)
        ]
    assert client.get("/value-ledger?from=2100-01-01T00:00:00Z").json()["results"] == []
    assert [
        row["namespace"]
        for row in api(create_user("bea", "Viewer", "us")).get("/value-ledger").json()["results"]
    ] == ["us"]


def test_totals_come_as_json_and_as_a_file() -> None:
    for tag in ("kit", "kit", '=cmd|"x"'):
        entry(tag, quantity="1.5")
    entry("kit", "us")
    client = api(create_user("bea", "Viewer", "eu"))
    totals = client.get("/value-ledger/totals?period=month").json()
    assert (
        totals["period"],
        totals["more"],
        [(row["tag"], row["quantity"], row["cycles"]) for row in totals["results"]],
    ) == ("month", False, [('=cmd|"x"', "1.5", 1), ("kit", "3", 2)])
    answer = client.get("/value-ledger/totals.csv?period=month", Accept="text/csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert [row[2] for row in rows] == ["tag", '\'=cmd|"x"', "kit"]


@pytest.mark.parametrize(
    "query",
    [
        "period=year",
        "from=2026-01-01",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=1970-01-01T00:00:00Z&period=day",
        "tag=%00",
        "more=1",
        "to=1970-01-01T00:00:00Z",
        "namespace=",
    ],
)
def test_an_invalid_parameter_is_a_400(query: str) -> None:
    client = api(create_user("vic", "Viewer"))
    for path in ("/value-ledger/totals", "/value-ledger/totals.csv"):
        answer = client.get(f"{path}?{query}")
        problem(answer, 400, answer.json()["code"])


def test_the_session_of_the_console_downloads_the_file() -> None:
    browser = Client()
    browser.force_login(create_user("vic", "Viewer"))
    assert browser.get("/value-ledger/totals.csv").status_code == 200
