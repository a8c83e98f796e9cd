"""POST /run-profiles/trigger and /run-profiles/{id}/trigger."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from governance.models import AuditTrailEntry, GovernanceSetting
from orbit.api import orchestrate as api_orchestrate
from orbit.cycles import creation, run_profile_slices
from orbit.models import CycleRun
from tests.support.callers import api, create_user, problem
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db

ALL = "/run-profiles/trigger"


@pytest.fixture(autouse=True)
def three() -> None:
    store_profiles(
        [profile()],
        [
            run_profile("a"),
            run_profile("b"),
            run_profile("c", namespace="us"),
            run_profile("off", state="disabled"),
        ],
    )


def outcomes(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 202, answer.content
    return [(result["run_profile_id"], result["outcome"]) for result in answer.json()["results"]]


def test_every_enabled_run_profile_has_an_outcome_and_the_call_one_audit_entry() -> None:
    answer = api(create_user()).post(ALL)
    assert outcomes(answer) == [("a", "started"), ("b", "queued"), ("c", "started")]
    cycles = {
        result["run_profile_id"]: result["cycle_run_id"] for result in answer.json()["results"]
    }
    assert {str(cycle.pk): cycle.trigger for cycle in CycleRun.objects.all()} == dict.fromkeys(
        cycles.values(), "rest"
    )
    entry = AuditTrailEntry.objects.get(action="cycle.triggered")
    assert (entry.actor, entry.after["outcomes"]) == ("ann", {"started": 2, "queued": 1})


def test_named_run_profiles_are_triggered_by_body_or_by_path() -> None:
    client = api(create_user())
    assert outcomes(client.post(ALL, {"run_profile_ids": ["off", "c"], "reason": "by hand"})) == [
        ("c", "started"),
        ("off", "disabled"),
    ]
    assert outcomes(client.post("/run-profiles/a/trigger")) == [("a", "started")]
    answer = client.post("/run-profiles/b/trigger", {"reason": "again"})
    assert outcomes(answer) == [("b", "skipped")]
    assert "cycle_run_id" not in answer.json()["results"][0]


def test_a_refusal_of_one_run_profile_is_its_outcome(settings: Any) -> None:
    client = api(create_user())
    GovernanceSetting.objects.filter(namespace__name="us").update(
        halt=True, mode="quiet", reason="flood", changed_by="bob"
    )
    active_cycle("eu")
    answer = client.post(ALL)
    assert outcomes(answer) == [("a", "skipped"), ("b", "skipped"), ("c", "halted")]
    assert "by bob: flood" in answer.json()["results"][2]["detail"]
    settings.ORBIT_GLOBAL_PAUSE = True
    assert outcomes(client.post("/run-profiles/c/trigger")) == [("c", "paused")]


@pytest.mark.parametrize("name", ["unknown", "x" * 900, "%F0%9F%92%A9"])
def test_an_unknown_run_profile_is_not_found(name: str) -> None:
    problem(
        api(create_user()).post(f"/run-profiles/{name}/trigger", Idempotency_Key="k"),
        404,
        "unknown_run_profile",
    )


def test_one_unknown_run_profile_among_several_starts_nothing() -> None:
    problem(
        api(create_user()).post(ALL, {"run_profile_ids": ["a", "unknown"]}),
        404,
        "unknown_run_profile",
    )
    assert not CycleRun.objects.exists()


def test_a_confined_user_triggers_and_sees_only_their_run_profiles() -> None:
    client = api(create_user("bea", "Operator", "us"))
    assert outcomes(client.post(ALL)) == [("c", "started")]
    problem(client.post("/run-profiles/a/trigger"), 404, "unknown_run_profile")
    problem(client.post(ALL, {"run_profile_ids": ["a"]}), 404, "unknown_run_profile")


def test_the_same_request_twice_starts_once_and_answers_the_same() -> None:
    client = api(create_user())
    first = client.post(ALL, Idempotency_Key="k1")
    assert client.post(ALL, Idempotency_Key="k1").json() == first.json()
    assert CycleRun.objects.count() == 3
    problem(
        client.post(ALL, {"reason": "other"}, Idempotency_Key="k1"), 422, "idempotency_key_reused"
    )
    answer = client.post("/run-profiles/a/trigger", Idempotency_Key="k1")
    assert outcomes(answer) == [("a", "skipped")]
    assert outcomes(client.post("/run-profiles/b/trigger", Idempotency_Key="k1")) == [
        ("b", "skipped")
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"run_profile_ids": []}, "/run_profile_ids"),
        ({"run_profile_ids": "a"}, "/run_profile_ids"),
        ({"ids": ["a"]}, "/ids"),
        ({"reason": " "}, "/reason"),
        ({"run_profile_ids": [7]}, "/run_profile_ids/0"),
    ],
)
def test_a_wrong_body_is_refused_with_a_pointer(body: Any, pointer: str) -> None:
    refusal = problem(api(create_user()).post(ALL, body), 422, "invalid_body")
    assert [error["pointer"] for error in refusal["errors"]] == [pointer]


def test_a_large_call_takes_few_statements() -> None:
    store_profiles(
        [], [run_profile(f"r{number}", namespace=f"n{number % 40}") for number in range(300)]
    )
    client = api(create_user())
    with CaptureQueriesContext(connection) as captured:
        assert len(outcomes(client.post(ALL))) == 303
    assert len(captured) < 25


def test_a_request_that_broke_off_between_slices_goes_on_under_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_profile_slices, "MOST_ROWS", 1)
    client = api(create_user())
    hold, calls = creation.hold_configuration, iter([True, False])

    def fail_once() -> None:
        if not next(calls, True):
            raise OperationalError("the server is gone")
        hold()

    monkeypatch.setattr(creation, "hold_configuration", fail_once)
    assert client.post(ALL, Idempotency_Key="k").status_code == 503
    assert CycleRun.objects.count() == 1
    CycleRun.objects.update(status="success", finished_at=Now(), next_due_at=None)
    answer = client.post(ALL, Idempotency_Key="k")
    assert outcomes(answer) == [("a", "started"), ("b", "started"), ("c", "started")]
    assert CycleRun.objects.count() == 3
    assert client.post(ALL, Idempotency_Key="k").json() == answer.json()
    assert CycleRun.objects.count() == 3
    # Another body under the key, and the same one without it.
    other = client.post(ALL, {"reason": "other"}, Idempotency_Key="k")
    problem(other, 422, "idempotency_key_reused")
    assert dict(outcomes(client.post(ALL)))["a"] == "skipped"


def test_what_an_earlier_try_resumed_is_not_started_again_when_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_profile_slices, "MOST_ROWS", 1)
    monkeypatch.setattr(api_orchestrate, "SECONDS", 0.0)
    abandoned = active_cycle(
        "eu",
        run_profile_id="a",
        status="running",
        started_at=Now(),
        lease_expires_at=Now() - timedelta(seconds=5),
        lease_owner="w",
    )
    client, body = api(create_user()), {"run_profile_ids": ["a", "c"]}
    problem(client.post(ALL, body, Idempotency_Key="k"), 503, "still_starting")
    CycleRun.objects.filter(pk=abandoned.pk).update(
        status="cancelled",
        finished_at=Now(),
        next_due_at=None,
        lease_expires_at=None,
        lease_owner=None,
    )
    answer = client.post(ALL, body, Idempotency_Key="k")
    assert outcomes(answer) == [("a", "started"), ("c", "started")]
    assert answer.json()["results"][0]["cycle_run_id"] == str(abandoned.pk)
    assert CycleRun.objects.filter(namespace="eu").count() == 1


def test_a_refused_request_gives_its_key_up() -> None:
    client = api(create_user())
    body = {"run_profile_ids": ["later"]}
    refused = client.post(ALL, body, Idempotency_Key="k")
    problem(refused, 404, "unknown_run_profile")
    store_profiles([], [run_profile("later", namespace="jp")])
    assert outcomes(client.post(ALL, body, Idempotency_Key="k")) == [("later", "started")]


def test_without_a_key_what_is_not_reached_in_time_is_skipped_and_with_one_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_profile_slices, "MOST_ROWS", 1)
    monkeypatch.setattr(api_orchestrate, "SECONDS", 0.0)
    client = api(create_user())
    assert outcomes(client.post(ALL)) == [("a", "started"), ("b", "skipped"), ("c", "skipped")]
    CycleRun.objects.all().delete()
    for started in (1, 2):
        problem(client.post(ALL, Idempotency_Key="k"), 503, "still_starting")
        assert CycleRun.objects.count() == started
    answer = client.post(ALL, Idempotency_Key="k")
    assert outcomes(answer) == [("a", "started"), ("b", "queued"), ("c", "started")]
