"""The benchmark of the console: what it says of a page, and which pages it visits."""

import pytest
from django.test import Client

from benchmarks import console, console_polling
from benchmarks.console import Page, Result
from benchmarks.console_polling import Polling
from tests.support.callers import create_user


def page(path: str = "/admin/x/", *, took: float = 100, queries: int = 30, **more: float) -> Page:
    return Page("adm", path, int(more.get("status", 200)), [took], 1.0, queries, more.get("kib", 9))


@pytest.mark.parametrize(
    ("one", "is_met"),
    [
        (page(), True),
        (page(took=500), False),
        (page(queries=31), False),
        (page("/admin/", queries=16), False),
        (page("/admin/", queries=15), True),
        (page(kib=301), False),
        (page(status=503), False),
        (page(status=302), True),
    ],
)
def test_a_page_reaches_all_goals_or_is_missed(one: Page, is_met: bool) -> None:
    lines = Result(10, 100, [one], {}).lines()
    assert (one.is_met, lines[-1].endswith("MISSED")) == (is_met, not is_met)


def test_pages_are_compared_without_their_ids() -> None:
    ids = ("01a226fe-f2b1-7000-8000-4a3f4ef124d6", "01a22810-b777-7000-800f-42408155bc54")
    small, large = (page(f"/admin/orbit/cyclerun/{each}/change/") for each in ids)
    result = Result(10, 100, [large], {("adm", console._kind(small.path)): small})
    assert "1.0" in result.lines()[-1]


def test_the_cost_of_polling_is_what_open_pages_add() -> None:
    text = console_polling.lines([Polling(2.0, 4.0, 2.0, 1.5, 100, 80)])[-1]
    assert ("4.50 %" in text, "goal met" in text, "80 of 100" in text) == (True, True, True)


def test_dashboards_that_ask_no_more_cost_nothing_and_meet_no_goal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console_polling, "SETTLE", 0.2)
    monkeypatch.setattr(console_polling.Dashboard, "watch", lambda *_: None)
    with pytest.raises(RuntimeError, match="0 dashboards still ask"):
        console_polling._poll(1, 1, 9, [""], 2.0, 0.01, 0.0)


@pytest.mark.django_db
def test_it_visits_the_places_of_the_menu_and_the_lists_links() -> None:
    browser = Client()
    browser.force_login(create_user("adm", "Administrator"))
    visited = list(console._addresses(browser))
    assert {"/admin/", "/admin/alerts/", "/admin/orbit/cyclerun/?namespace=n7"} <= set(visited)
    assert any(path.startswith("/admin/telemetry/errorgroup/?") for path in visited)
    assert len(visited) == len(set(visited))
    cost = console._measure(browser, "adm", "/admin/", 1)
    assert (cost["status"], 0 < cost["queries"] <= 30, cost["kib"] > 1) == (200, True, True)
