"""The lists of telemetry: filters, order, pages, confinement."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from governance.kernel import clock
from governance.rest import pages
from telemetry.ingest import batch
from telemetry.models import Artifact, Metric, PolicyViolation
from tests.support.callers import Api, api, create_user, problem
from tests.support.telemetry_rows import (
    create_error_group,
    create_events,
    create_one_of_each,
    create_task,
)

pytestmark = pytest.mark.django_db

LISTS = {
    "/telemetry/events": "session_id",
    "/telemetry/artifacts": "session_id",
    "/telemetry/metrics": "session_id",
    "/telemetry/policy-violations": "session_id",
    "/telemetry/error-groups": "message",
    "/telemetry/projection/tasks": "task_id",
}


@pytest.fixture
def client() -> Api:
    return api(create_user())


def results(client: Api, path: str) -> list[Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    found: list[Any] = answer.json()["results"]
    return found


def all_pages(client: Api, path: str, link: str = "next") -> tuple[list[Any], str]:
    """Follow ``link`` to its end; return all rows, and the address of the last page."""
    rows: list[Any] = []
    while True:
        answer = client.get(path).json()
        rows = [*rows, *answer["results"]] if link == "next" else [*answer["results"], *rows]
        if answer[link] is None:
            return rows, path
        path = answer[link].replace("http://testserver", "")


def test_each_list_shows_the_columns_of_the_contract(client: Api) -> None:
    event = create_one_of_each()
    shown = {path: results(client, path)[0] for path in LISTS}
    assert shown["/telemetry/events"]["id"] == str(event.id)
    assert shown["/telemetry/events"]["metadata"]["title"].startswith("one")
    assert shown["/telemetry/artifacts"].items() >= {
        "session_id": "one-session", "path_name": "one.txt", "size": 3, "sha256": "0" * 64,
    }.items()  # fmt: skip
    metric = shown["/telemetry/metrics"]
    assert (metric["name"], metric["value"], metric["labels"]) == ("one_value", 1.5, {"a": "b"})
    assert metric["at"] == metric["occurred_at"]
    assert shown["/telemetry/policy-violations"].items() >= {
        "file": "one.py", "policy": "style", "rule": "E501", "severity": "low", "host": "",
    }.items()  # fmt: skip
    group = shown["/telemetry/error-groups"]
    assert (group["message"], group["stage"], group["count"]) == ("one broke", "build", 2)
    assert {"first_seen", "last_seen"} <= group.keys()
    task = shown["/telemetry/projection/tasks"]
    assert (task["task_id"], task["status"], task["tags_json"]) == ("one-task", "running", [])
    assert {"title", "last_status_ts", "priority", "last_event_ts", "updated_utc"} <= task.keys()


@pytest.mark.parametrize("path", LISTS)
def test_a_confined_caller_sees_only_rows_of_its_namespaces(path: str) -> None:
    for namespace in ("a", "b", None):
        create_one_of_each(namespace, f"in-{namespace}")
    confined = api(create_user("bea", "Viewer", "a"))
    assert [row["namespace"] for row in results(confined, path)] == ["a"]
    assert [row["namespace"] for row in results(confined, f"{path}?namespace=a")] == ["a"]
    assert results(confined, f"{path}?namespace=b") == []
    everything = results(api(create_user()), path)
    assert {row["namespace"] for row in everything} == {"a", "b", None}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("name=task_end", 1),
        ("level=error", 1),
        ("session_id=s1", 2),
        ("task_id=t1", 1),
        ("profile_id=p1", 1),
        ("stage=build", 1),
        ("run_id=00000000-0000-0000-0000-000000000007", 1),
        ("session_id=s1&name=task_end", 1),
        ("name=metric", 0),
        ("", 3),
    ],
)
def test_events_are_found_by_each_filter(client: Api, filters: str, count: int) -> None:
    batch.store(
        [
            batch.event("task_start", session_id="s1", task_id="t1", stage="build"),
            batch.event("task_end", session_id="s1", level="error"),
            batch.event("decision", run_id=UUID(int=7), profile_id="p1"),
        ]
    )
    assert len(results(client, f"/telemetry/events?{filters}")) == count


def test_events_of_a_session_are_found_however_old_they_are(client: Api) -> None:
    old = clock.now() - timedelta(days=300)
    create_events(2, old, session_id="long-ago")
    create_events(1, clock.now() - timedelta(hours=1), session_id="today")
    assert len(results(client, "/telemetry/events?session_id=long-ago")) == 2
    latest = results(client, "/telemetry/events?limit=1")
    assert [row["session_id"] for row in latest] == ["today"]
    at = (old + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    assert len(results(client, f"/telemetry/events?to={at}")) == 1
    assert len(results(client, f"/telemetry/events?from={at}")) == 2


def test_events_of_one_moment_are_paged_without_a_gap_and_back(client: Api) -> None:
    at = clock.now() - timedelta(minutes=5)
    batch.store([batch.event("decision", occurred_at=at) for _ in range(5)])
    create_events(3, at + timedelta(seconds=1))
    rows, last = all_pages(client, "/telemetry/events?limit=2")
    ids = [row["id"] for row in rows]
    assert (len(ids), len(set(ids))) == (8, 8)
    assert [row["occurred_at"] for row in rows] == sorted(
        (row["occurred_at"] for row in rows), reverse=True
    )
    back, _ = all_pages(client, last, "previous")
    assert [row["id"] for row in back] == ids


def test_a_rare_event_is_found_page_by_page(client: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_SCANNED", 10)
    first = clock.now().replace(microsecond=5) - timedelta(hours=1)
    batch.store([batch.event("metric", occurred_at=first)])
    create_events(35, first + timedelta(seconds=1))
    batch.store([batch.event("metric", occurred_at=first + timedelta(seconds=20, microseconds=1))])
    path = "/telemetry/events?name=metric"
    assert (results(client, path), client.get(path).json()["next"] is None) == ([], False)
    rows, last = all_pages(client, path)
    assert len(rows) == 2
    back, _ = all_pages(client, last, "previous")
    assert [row["id"] for row in back] == [row["id"] for row in rows]


def test_a_cursor_says_nothing_of_a_hidden_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_SCANNED", 3)
    at = clock.now().replace(microsecond=123456) - timedelta(hours=1)
    hidden = create_events(9, at, namespace="b")
    confined = api(create_user("bea", "Viewer", "a"))
    answer = confined.get("/telemetry/events").json()
    assert answer["results"] == []
    assert "123456" not in answer["next"]
    assert not any(str(event_id) in answer["next"] for event_id in hidden)
    assert all_pages(confined, "/telemetry/events")[0] == []


def test_a_cursor_of_another_list_or_release_is_refused(client: Api) -> None:
    create_events(3, clock.now() - timedelta(hours=1))
    link = client.get("/telemetry/events?limit=1").json()["next"]
    query = link.partition("?")[2]
    problem(client.get(f"/telemetry/artifacts?{query}"), 400, "invalid_cursor")
    problem(client.get("/telemetry/events?cursor=>[1]:x"), 400, "invalid_cursor")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/telemetry/events", "name=nothing"),
        ("/telemetry/events", "level=loud"),
        ("/telemetry/events", "run_id=x"),
        ("/telemetry/events", "from=2026-01-01"),
        ("/telemetry/error-groups", "day=2026-1-1"),
        ("/telemetry/error-groups", "day=2026-02-30"),
        ("/telemetry/projection/tasks", "status=odd"),
        ("/telemetry/artifacts", "colour=red"),
    ],
)
def test_a_filter_that_cant_be_read_is_refused(client: Api, path: str, query: str) -> None:
    problem(client.get(f"{path}?{query}"), 400, "invalid_parameter")


@pytest.mark.parametrize(
    ("path", "query", "count"),
    [
        ("/telemetry/artifacts", "session_id=one-session", 1),
        ("/telemetry/artifacts", "task_id=other", 0),
        ("/telemetry/artifacts", "path_name=one.txt", 1),
        ("/telemetry/metrics", "name=one_value", 1),
        ("/telemetry/metrics", "name=other", 0),
        ("/telemetry/metrics", "from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z", 0),
        ("/telemetry/policy-violations", "severity=low&policy=style&rule=E501", 1),
        ("/telemetry/policy-violations", "host=h1", 0),
        ("/telemetry/error-groups", "stage=build", 1),
        ("/telemetry/error-groups", "stage=test", 0),
        ("/telemetry/error-groups", "day=2020-01-31", 0),
        ("/telemetry/error-groups", "from=2020-01-01T00:00:00Z", 1),
        ("/telemetry/projection/tasks", "status=running", 1),
        ("/telemetry/projection/tasks", "status=failed", 0),
        ("/telemetry/projection/tasks", "task_id=one-task", 1),
    ],
)
def test_readings_are_found_by_their_filters(
    client: Api, path: str, query: str, count: int
) -> None:
    create_one_of_each()
    assert len(results(client, f"{path}?{query}")) == count


def test_the_longest_paths_and_hosts_are_found(client: Api) -> None:
    path, host = "p" * 4096, "h" * 255
    origin: dict[str, Any] = {"event_id": UUID(int=1), "occurred_at": clock.now()}
    Artifact.objects.create(**origin, path_name=path, size=1)
    PolicyViolation.objects.create(
        **origin, file=path, host=host, policy="p", rule="r", severity="low"
    )
    assert len(results(client, f"/telemetry/artifacts?path_name={path}")) == 1
    assert len(results(client, f"/telemetry/policy-violations?file={path}&host={host}")) == 1
    problem(client.get(f"/telemetry/artifacts?path_name={path}p"), 400, "invalid_parameter")


def test_lists_are_newest_first(client: Api) -> None:
    now = datetime(2026, 1, 31, 6, tzinfo=UTC)
    for number in range(3):
        at = now + timedelta(minutes=number)
        create_error_group("a", f"m{number}", at)
        create_task(f"t{number}", "a", at)
        Metric.objects.create(event_id=f"{number:032x}", occurred_at=at, name="m", value=number)
    assert [row["message"] for row in results(client, "/telemetry/error-groups")] == [
        "m2", "m1", "m0",
    ]  # fmt: skip
    assert [row["value"] for row in results(client, "/telemetry/metrics")] == [2, 1, 0]
    tasks, last = all_pages(client, "/telemetry/projection/tasks?limit=1")
    assert [row["task_id"] for row in tasks] == ["t2", "t1", "t0"]
    assert len(all_pages(client, last, "previous")[0]) == 3
