"""GET /schedules, /schedules/ticks, /schedules/why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import Schedule as Row

from governance.access.actors import SYSTEM
from governance.kernel.identifiers import uuid7
from orbit.models import CronTick
from orbit.schedules import change, ledger
from orbit.schedules.plan import Schedule
from orbit.schedules.rows import CYCLES, RUN_PROFILES
from orbit.schedules.sync import RunProfileSchedules, sync
from tests.support.callers import api, create_user, problem
from tests.support.configuration import profile, run_profile, store_profiles
from tests.support.pipeline import rows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def schedules() -> None:
    sync([Schedule(CYCLES, "0 0,12 * * *", "UTC"), Schedule(RUN_PROFILES, "", "UTC")])
    daily = {"cron": "0 6 * * *", "time_zone": "Europe/Berlin"}
    store_profiles(
        [profile()],
        [
            run_profile("a", namespace="eu", execution_policy=daily),
            run_profile("b", namespace="us", execution_policy=daily),
        ],
    )
    RunProfileSchedules("UTC").follow()
    ledger.enqueue_due()


def tick(schedule: str, due: datetime, outcome: str = "started", **detail: Any) -> CronTick:
    return CronTick.objects.create(
        id=uuid7(),
        schedule=schedule,
        tick_key=due.isoformat(),
        due_at=due,
        outcome=outcome,
        detail=detail,
    )


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["results"]]


def test_each_schedule_has_its_task_and_its_next_time() -> None:
    last = tick("run-profile:a", datetime.now(UTC) - timedelta(hours=1), "skipped")
    schedules = {row["name"]: row for row in api(create_user()).get("/schedules").json()["results"]}
    assert list(schedules) == ["cycles", "run-profiles", "run-profile:a", "run-profile:b"]
    schedule = schedules["run-profile:a"]
    assert (
        schedule["cron"],
        schedule["time_zone"],
        schedule["enabled"],
        schedule["in_words"],
        schedule["changed"],
        schedule["problem"],
    ) == ("0 6 * * *", "Europe/Berlin", True, "At 06:00 every day", None, None)
    due = [datetime.fromisoformat(text) for text in schedule["next_due_at"]]
    assert len(due) == 5
    assert due == sorted(due) and due[0] > datetime.now(UTC)
    assert (schedule["last_tick"]["id"], schedule["last_tick"]["outcome"]) == (
        str(last.pk),
        "skipped",
    )
    assert (
        schedules["run-profiles"]["enabled"],
        schedules["run-profiles"]["next_due_at"],
        schedules["run-profiles"]["cron"],
    ) == (False, [], None)


def test_an_override_and_a_problem_are_shown() -> None:
    change.switch("run-profile:a", on=False, actor=replace(SYSTEM, name="ann"), reason="night")
    rows("UPDATE django_q_schedule SET cron = 'rubbish' WHERE name = 'cycles' RETURNING 1")
    Row.objects.filter(name="run-profile:b").update(next_run=datetime.now(UTC) - timedelta(hours=2))
    schedules = {row["name"]: row for row in api(create_user()).get("/schedules").json()["results"]}
    assert (
        schedules["run-profile:a"]["enabled"],
        schedules["run-profile:a"]["changed"]["by"],
        schedules["run-profile:a"]["changed"]["reason"],
    ) == (False, "ann", "night")
    assert "rubbish" in schedules["cycles"]["problem"]
    assert schedules["run-profile:b"]["overdue_since"] is not None


def test_lists_come_in_pages_at_a_bounded_number_of_queries() -> None:
    client = api(create_user())
    first = client.get("/schedules?limit=3").json()
    assert [row["name"] for row in first["results"]] == ["cycles", "run-profiles", "run-profile:a"]
    assert names(client.get(first["next"])) == ["run-profile:b"]
    for number in range(40):
        tick("run-profile:a", datetime.now(UTC) - timedelta(minutes=number))
    for path in ("/schedules", "/schedules/ticks"):
        with CaptureQueriesContext(connection) as captured:
            client.get(path)
        assert len(captured) <= 4, path


def test_ticks_are_filtered_and_their_long_lists_left_out() -> None:
    now = datetime.now(UTC)
    tick(
        "cycles",
        now - timedelta(days=2),
        others={"skipped": ["x"] * 100},
        outcomes={"skipped": 100},
    )
    late, missed = (
        tick("run-profile:a", now - timedelta(hours=2), "late"),
        tick("run-profile:a", now, "missed"),
    )

    def ids(query: str) -> list[str]:
        return [
            row["id"]
            for row in api(create_user(query[:100] or "x"))
            .get(f"/schedules/ticks?{query}")
            .json()["results"]
        ]

    assert ids("schedule=run-profile:a") == [str(missed.pk), str(late.pk)]
    assert ids("outcome=late") == [str(late.pk)]
    assert ids(f"from={(now - timedelta(hours=3)).isoformat()}&to={now.isoformat()}") == [
        str(late.pk)
    ]
    [oldest] = api(create_user()).get("/schedules/ticks?schedule=cycles").json()["results"]
    assert oldest["detail"] == {"outcomes": {"skipped": 100}}


def test_a_confined_user_sees_schedules_and_ticks_of_their_run_profiles() -> None:
    for schedule in ("cycles", "run-profile:a", "run-profile:b"):
        tick(schedule, datetime.now(UTC))
    client = api(create_user("bea", "Viewer", "us"))
    assert names(client.get("/schedules")) == ["run-profile:b"]
    assert [row["schedule"] for row in client.get("/schedules/ticks").json()["results"]] == [
        "run-profile:b"
    ]
    assert client.get("/schedules/ticks?schedule=cycles").json()["results"] == []
    problem(
        client.get("/schedules/why?run_profile_id=a&at=2026-01-31T06:00:00Z"),
        404,
        "unknown_run_profile",
    )


def test_why_answers_one_sentence_and_the_facts() -> None:
    answer = (
        api(create_user()).get("/schedules/why?run_profile_id=a&at=2020-01-31T06:00:00Z").json()
    )
    assert answer["answer"].startswith("It didn't exist yet: a was created on")
    assert answer["ran"] is False
    assert answer["facts"]["at"] == "2020-01-31T06:00:00Z"


NOW = "at=2026-01-31T06:00:00Z"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "run_profile_id=a",
        NOW,
        "run_profile_id=a&at=yesterday",
        "run_profile_id=a&at=2026-01-31T06:00:00",
        f"run_profile_id=%00&{NOW}",
        f"run_profile_id=a&{NOW}&x=1",
    ],
)
def test_an_invalid_question_is_refused(query: str) -> None:
    problem(api(create_user()).get(f"/schedules/why?{query}"), 400, "invalid_parameter")


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "1970-01-01T00:00:00+23:59",
    ],
)
def test_the_first_and_last_times_are_answered(at: str) -> None:
    assert (
        api(create_user())
        .get(f"/schedules/why?run_profile_id=a&at={at.replace('+', '%2B')}")
        .status_code
        == 200
    )
    assert (
        api(create_user("bob")).get(f"/schedules/ticks?from={at.replace('+', '%2B')}").status_code
        == 200
    )
    assert (
        api(create_user("eve")).get(f"/schedules/ticks?to={at.replace('+', '%2B')}").status_code
        == 200
    )


@pytest.mark.parametrize(
    "query", ["outcome=great", "from=x", "schedule=", "cursor=forged", "limit=0"]
)
def test_an_invalid_filter_is_refused(query: str) -> None:
    assert api(create_user()).get(f"/schedules/ticks?{query}").status_code == 400
