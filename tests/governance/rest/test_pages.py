"""Lists in pages: forward and back, with filters, no row twice and none left out."""

from typing import Any

import pytest

from orbit.models import CycleRun
from tests.support.callers import Api, api, create_user
from tests.support.objects import routes
from tests.support.pipeline import configure_profiles, start_cycle

pytestmark = pytest.mark.django_db


def follow(client: Api, path: str, link: str) -> list[list[Any]]:
    """Follow ``next`` or ``previous``; return the results of each page, and the last URL."""
    pages, url = [], path
    while url:
        answer = client.get(url.replace("http://testserver", "")).json()
        pages.append([row.get("run_profile_id") for row in answer["results"]])
        last, url = url, answer[link]
    return [*pages, [last]]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_pages_lead_to_the_end_and_back(count: int) -> None:
    names = [f"r{number}" for number in range(count)]
    if names:
        configure_profiles(**{name: {"namespace": "a"} for name in names}, other={"namespace": "b"})
    client = api(create_user())
    *pages, [last] = follow(client, "/run-profiles?namespace=a&state=enabled&limit=2", "next")
    assert [name for page in pages for name in page] == names
    assert all("namespace=a" in str(url) for url in [last])
    *back, [first] = follow(client, last, "previous")
    assert [name for page in reversed(back) for name in page] == names
    *again, _ = follow(client, first, "next")
    assert [name for page in again for name in page] == names
    assert len(again) == len(pages)


def test_new_rows_shift_nothing() -> None:
    configure_profiles(**{f"r{number}": {"namespace": f"n{number}"} for number in range(5)})
    client = api(create_user())
    for number in range(4):
        start_cycle(f"r{number}")
    first = client.get("/cycles?limit=2").json()
    start_cycle("r4")
    second = client.get(first["next"].replace("http://testserver", "")).json()
    assert [row["run_profile_id"] for row in [*first["results"], *second["results"]]] == [
        "r3",
        "r2",
        "r1",
        "r0",
    ]
    assert [
        row["run_profile_id"]
        for row in client.get(second["previous"].replace("http://testserver", "")).json()["results"]
    ] == ["r3", "r2"]
    CycleRun.objects.filter(run_profile_id="r2").update(
        status="cancelled", next_due_at=None, finished_at="2026-01-01T00:00:00Z"
    )
    assert [
        row["run_profile_id"] for row in client.get("/cycles?status=cancelled").json()["results"]
    ] == ["r2"]


def test_every_list_declares_limit_and_cursor() -> None:
    lists = [
        (route, resource)
        for route, resource in routes()
        if "GET" in resource.operations
        and "previous" in resource.operations["GET"].answers[200].get("properties", {})
    ]
    assert len(lists) >= 5
    by_offset = {"dead-letters/groups"}
    for route, resource in lists:
        parameters = {"limit", "offset" if route in by_offset else "cursor"}
        assert parameters <= resource.operations["GET"].query.keys(), route
