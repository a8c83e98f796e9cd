"""POST /cycles/trigger/batch."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from governance.models import AuditTrailEntry, GovernanceSetting
from governance.namespaces import registry
from orbit.api import trigger_batch as api_trigger_batch
from orbit.cycles import creation
from orbit.models import CycleRun
from tests.support.callers import api, create_user, problem
from tests.support.configuration import active_cycle, profile, run_profile, store_profiles

BATCH = "/cycles/trigger/batch"


def raw(number: int) -> list[dict[str, Any]]:
    """Return triggers of so many namespaces, which are made here."""
    names = [f"n{place:04}" for place in range(number)]
    registry.ensure(names)
    return [{"namespace": name, "payload": place} for place, name in enumerate(names)]


def results(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 202, answer.content
    return answer.json()["results"]


def outcomes(answer: Any) -> list[tuple[str, str]]:
    return [(each["outcome"], each.get("code", "")) for each in results(answer)]


@pytest.mark.django_db
def test_each_trigger_has_an_outcome_in_its_order_and_a_hundred_one_audit_entry() -> None:
    triggers = raw(250)
    answer = api(create_user()).post(BATCH, {"triggers": triggers, "reason": "the night's orders"})
    cycles = {str(cycle.pk): cycle for cycle in CycleRun.objects.all()}
    for place, result in enumerate(results(answer)):
        cycle = cycles.pop(result["cycle_run_id"])
        assert result == {
            "outcome": "started",
            "cycle_run_id": str(cycle.pk),
            "namespace": f"n{place:04}",
        }
        assert (cycle.namespace_id, bytes(cycle.input), cycle.trigger, cycle.triggered_by) == (
            f"n{place:04}",
            str(place).encode(),
            "rest",
            "ann",
        )
    assert cycles == {}
    entries = AuditTrailEntry.objects.filter(action="cycle.triggered").order_by("id")
    assert [entry.after["outcomes"] for entry in entries] == [
        {"started": 100},
        {"started": 100},
        {"started": 50},
    ]
    assert {entry.reason for entry in entries} == {"the night's orders"}


@pytest.mark.django_db
def test_the_first_of_a_namespace_starts_and_the_others_wait_in_their_order() -> None:
    registry.ensure(["a"])
    triggers = [{"namespace": "a", "payload": place} for place in range(150)]
    answer = api(create_user()).post(BATCH, {"triggers": triggers})
    assert [outcome for outcome, _ in outcomes(answer)] == ["started", *["queued"] * 149]
    in_order = CycleRun.objects.filter(namespace="a").order_by("id")
    assert [bytes(cycle.input) for cycle in in_order] == [b"%d" % place for place in range(150)]


@pytest.mark.django_db
def test_a_refusal_is_the_outcome_of_its_trigger_alone() -> None:
    store_profiles(
        [profile()], [run_profile("r1"), run_profile("off", namespace="us", state="disabled")]
    )
    registry.ensure(["busy", "halted", "free"])
    active_cycle("busy")
    GovernanceSetting.objects.filter(namespace__name="halted").update(
        halt=True, mode="quiet", reason="flood", changed_by="bob"
    )
    odd = b'{"z": 1.0, "a": 0.12345678901234567890}'
    body = (
        b'{"triggers": [{"namespace": "busy"}, {"namespace": "halted"}, {"namespace": "nowhere"},'
        b'{"run_profile_id": "off"}, {"run_profile_id": "none"},'
        b'{"run_profile_id": "r1", "namespace": "us"}, {"run_profile_id": "r1"},'
        b'{"namespace": "free", "payload": ' + odd + b"}]}"
    )
    answer = api(create_user()).post(BATCH, body)
    assert outcomes(answer) == [
        ("skipped", "cycle_active"),
        ("halted", "namespace_halted"),
        ("invalid", "unknown_namespace"),
        ("disabled", "disabled"),
        ("invalid", "unknown_run_profile"),
        ("invalid", "namespace_mismatch"),
        ("started", ""),
        ("started", ""),
    ]
    assert "by bob: flood" in results(answer)[1]["detail"]
    cycle = CycleRun.objects.get(namespace="free")
    assert bytes(cycle.input) == odd.replace(b" ", b"")
    assert CycleRun.objects.get(run_profile_id="r1").namespace_id == "eu"


@pytest.mark.django_db
def test_a_pause_is_the_outcome_of_all(settings: Any) -> None:
    triggers = raw(2)
    settings.ORBIT_GLOBAL_PAUSE = True
    answer = api(create_user()).post(BATCH, {"triggers": triggers})
    assert outcomes(answer) == [("paused", "globally_paused")] * 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"triggers": []}, "/triggers"),
        ({"triggers": [{}] * 1001}, "/triggers"),
        ({"triggers": [{}, {"colour": "red"}]}, "/triggers/1/colour"),
        ({"triggers": [{}, {"payload": 1, "payload_base64": ""}]}, "/triggers/1/payload_base64"),
        ({"triggers": [{}, {"payload_base64": "AAA"}]}, "/triggers/1/payload_base64"),
    ],
)
def test_a_wrong_body_is_refused_whole_with_a_pointer(body: Any, pointer: str) -> None:
    refusal = problem(api(create_user()).post(BATCH, body), 422, "invalid_body")
    assert [error["pointer"] for error in refusal["errors"]] == [pointer]
    assert not CycleRun.objects.exists()


@pytest.mark.django_db
def test_a_confined_caller_learns_of_no_other_namespace() -> None:
    store_profiles([profile()], [run_profile("r1")])
    registry.ensure(["us"])
    client = api(create_user("bea", "Operator", "us"))
    triggers = [{"namespace": "eu"}, {"namespace": "none"}, {"run_profile_id": "r1"}, {}]
    answer = client.post(BATCH, {"triggers": [*triggers, {"namespace": "us"}]})
    assert outcomes(answer) == [
        ("invalid", "unknown_namespace"),
        ("invalid", "unknown_namespace"),
        ("invalid", "unknown_run_profile"),
        ("invalid", "unknown_namespace"),
        ("started", ""),
    ]
    problem(api(create_user("vic", "Viewer")).post(BATCH, {"triggers": [{}]}), 403, "forbidden")


@pytest.mark.django_db
def test_the_same_request_twice_starts_once_and_answers_the_same() -> None:
    client, body = api(create_user()), {"triggers": raw(120)}
    first = client.post(BATCH, body, Idempotency_Key="k1")
    assert client.post(BATCH, body, Idempotency_Key="k1").json() == first.json()
    assert CycleRun.objects.count() == 120
    problem(
        client.post(BATCH, {"triggers": [{}]}, Idempotency_Key="k1"), 422, "idempotency_key_reused"
    )


@pytest.mark.django_db
def test_a_request_that_broke_off_between_two_parts_goes_on_under_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold, calls = creation.hold_configuration, iter([True, True, False])

    def fail_once() -> None:
        if not next(calls, True):
            raise OperationalError("the server went away")
        hold()

    monkeypatch.setattr(creation, "hold_configuration", fail_once)
    registry.ensure(["a"])
    triggers = [*raw(150), *({"namespace": "a"} for _ in range(100))]
    client = api(create_user())
    client.client.raise_request_exception = False
    assert client.post(BATCH, {"triggers": triggers}, Idempotency_Key="k1").status_code >= 500
    before = set(CycleRun.objects.values_list("pk", flat=True))
    assert len(before) == 200
    answer = client.post(BATCH, {"triggers": triggers}, Idempotency_Key="k1")
    # Those of the second part wait behind the one that was started before the crash.
    assert [outcome for outcome, _ in outcomes(answer)] == [*["started"] * 151, *["queued"] * 99]
    assert CycleRun.objects.count() == 250
    assert before <= set(CycleRun.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_what_is_not_reached_in_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_trigger_batch, "SECONDS", 0.0)
    client, body = api(create_user()), {"triggers": raw(120)}
    problem(client.post(BATCH, body, Idempotency_Key="k1"), 503, "still_starting")
    assert CycleRun.objects.count() == 100
    answer = client.post(BATCH, body, Idempotency_Key="k1")
    assert outcomes(answer) == [("started", "")] * 120
    CycleRun.objects.update(status="cancelled", next_due_at=None, finished_at=Now())
    answer = client.post(BATCH, body)
    assert outcomes(answer) == [*[("started", "")] * 100, *[("skipped", "late")] * 20]


@pytest.mark.django_db
def test_a_caller_who_is_disabled_between_two_parts_starts_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold = creation.hold_configuration

    def disable_and_hold() -> None:
        User.objects.update(is_active=False)
        hold()

    user, body = create_user(), {"triggers": raw(120)}
    client = api(user)
    monkeypatch.setattr(creation, "hold_configuration", disable_and_hold)
    refusal = problem(client.post(BATCH, body), 403, "forbidden")
    assert "ann was disabled" in refusal["detail"]
    assert CycleRun.objects.count() == 100


@pytest.mark.django_db
def test_a_run_profile_that_is_edited_meanwhile_runs_as_it_is_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("a"), run_profile("b", namespace="us")])
    hold, edits = creation.hold_configuration, iter([1])

    def edit_and_hold() -> None:
        if edit := next(edits, None):
            store_profiles([], [run_profile("a", asset_bundle={"n": edit})])
        hold()

    monkeypatch.setattr(creation, "hold_configuration", edit_and_hold)
    triggers = [{"run_profile_id": "a"}, {"run_profile_id": "b"}, {"run_profile_id": "a"}]
    answer = api(create_user()).post(BATCH, {"triggers": triggers})
    assert [outcome for outcome, _ in outcomes(answer)] == ["started", "started", "queued"]
    revisions = CycleRun.objects.filter(run_profile_id="a").values_list(
        "run_profile_revision", flat=True
    )
    assert set(revisions) == {2}


@pytest.mark.django_db
def test_what_comes_after_an_edited_run_profile_in_its_namespace_stays_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("a"), run_profile("b")])
    hold, edits = creation.hold_configuration, iter([1])

    def edit_and_hold() -> None:
        if edit := next(edits, None):
            store_profiles([], [run_profile("a", asset_bundle={"n": edit})])
        hold()

    monkeypatch.setattr(creation, "hold_configuration", edit_and_hold)
    triggers = [{"run_profile_id": "a"}, {"run_profile_id": "b"}, {"namespace": "eu"}]
    answer = api(create_user()).post(BATCH, {"triggers": triggers})
    assert [outcome for outcome, _ in outcomes(answer)] == ["started", "queued", "queued"]
    in_order = CycleRun.objects.order_by("id").values_list("run_profile_id", flat=True)
    assert list(in_order) == ["a", "b", None]


@pytest.mark.django_db
def test_a_run_profile_that_is_edited_all_the_time_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_profiles([profile()], [run_profile("a")])
    hold, edits = creation.hold_configuration, iter(range(100))

    def edit_and_hold() -> None:
        store_profiles([], [run_profile("a", asset_bundle={"n": next(edits)})])
        hold()

    monkeypatch.setattr(creation, "hold_configuration", edit_and_hold)
    triggers = [{"run_profile_id": "a"}, {"namespace": "eu"}]
    answer = api(create_user()).post(BATCH, {"triggers": triggers})
    assert outcomes(answer) == [("invalid", "stale"), ("started", "")]


@pytest.mark.django_db
def test_each_try_records_what_it_started_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_trigger_batch, "SECONDS", 0.0)
    client, body = api(create_user()), {"triggers": raw(220)}
    for _ in range(2):
        problem(client.post(BATCH, body, Idempotency_Key="k1"), 503, "still_starting")
    assert outcomes(client.post(BATCH, body, Idempotency_Key="k1")) == [("started", "")] * 220
    entries = AuditTrailEntry.objects.filter(action="cycle.triggered").order_by("id")
    counts = [entry.after["outcomes"]["started"] for entry in entries]
    assert counts == [100, 100, 20]


@pytest.mark.django_db
def test_a_namespace_that_is_lost_between_two_tries_stays_secret_and_the_call_can_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_trigger_batch, "SECONDS", 0.0)
    user = create_user("bea", "Operator", "us", "eu")
    body = {"triggers": [{"namespace": "eu"}, *({"namespace": "us"} for _ in range(100))]}
    problem(api(user).post(BATCH, body, Idempotency_Key="k1"), 503, "still_starting")
    # Also if only the token of the second try has lost it.
    confined = api(user, "operate", namespaces=["us"])
    for _ in range(2):
        refusal = problem(confined.post(BATCH, body, Idempotency_Key="k1"), 403, "forbidden")
        assert "eu" not in refusal["detail"]
    assert CycleRun.objects.count() == 100
    answer = api(user).post(BATCH, body, Idempotency_Key="k1")
    assert [each["namespace"] for each in results(answer)] == ["eu", *["us"] * 100]
    assert CycleRun.objects.count() == 101


@pytest.mark.django_db
def test_what_an_earlier_try_resumed_is_not_started_again_when_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_trigger_batch, "SECONDS", 0.0)
    registry.ensure(["a"])
    past = Now() - timedelta(seconds=5)
    abandoned = active_cycle(
        "a", status="running", started_at=Now(), lease_expires_at=past, lease_owner="w"
    )
    client, body = api(create_user()), {"triggers": [{"namespace": "a"}, *raw(100)]}
    problem(client.post(BATCH, body, Idempotency_Key="k1"), 503, "still_starting")
    CycleRun.objects.filter(pk=abandoned.pk).update(
        status="cancelled",
        finished_at=Now(),
        next_due_at=None,
        lease_expires_at=None,
        lease_owner=None,
    )
    answer = client.post(BATCH, body, Idempotency_Key="k1")
    assert results(answer)[0] == {
        "outcome": "started",
        "cycle_run_id": str(abandoned.pk),
        "namespace": "a",
        "detail": "resumed",
    }
    assert CycleRun.objects.filter(namespace="a").count() == 1


@pytest.mark.django_db
def test_a_stored_refusal_of_a_run_profile_is_for_callers_who_see_it() -> None:
    store_profiles([profile()], [run_profile("r1"), run_profile("off", state="disabled")])
    user = create_user("bea", "Operator", "us", "eu")
    for number, one in enumerate(
        [{"run_profile_id": "r1", "namespace": "us"}, {"run_profile_id": "off"}]
    ):
        body, key = {"triggers": [one]}, f"k{number}"
        assert results(api(user).post(BATCH, body, Idempotency_Key=key))[0]["namespace"] == "eu"
        confined = api(user, "operate", namespaces=["us"])
        refusal = problem(confined.post(BATCH, body, Idempotency_Key=key), 404, "unknown_namespace")
        assert "runs in" not in refusal["detail"]


@pytest.mark.django_db
def test_a_part_takes_few_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    client, triggers = api(create_user()), raw(300)
    counts = []
    for number in (100, 300):
        CycleRun.objects.update(status="cancelled", next_due_at=None, finished_at=Now())
        with CaptureQueriesContext(connection) as captured:
            client.post(BATCH, {"triggers": triggers[:number]})
        counts.append(len(captured))
    assert (counts[1] - counts[0]) / 2 < 15


def test_equal_requests_at_once_start_each_cycle_once(committed: str) -> None:
    client = api(create_user())
    body = {"triggers": [*raw(150), *({"namespace": "n0000"} for _ in range(100))]}
    barrier = threading.Barrier(4)

    def send() -> Any:
        try:
            barrier.wait(30)
            return client.post(BATCH, body, Idempotency_Key="k1")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = [each.result() for each in [pool.submit(send) for _ in range(4)]]
    assert CycleRun.objects.count() == 250
    # Who comes after the end of the call is asked to come back, and gets the stored answer then.
    assert {answer.status_code for answer in answers} <= {202, 503}
    done = [answer.json() for answer in answers if answer.status_code == 202]
    again = client.post(BATCH, body, Idempotency_Key="k1").json()
    assert done == [again] * len(done) != []
