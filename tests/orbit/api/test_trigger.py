"""POST /cycles/trigger."""

import base64
import hashlib
from typing import Any

import pytest
from django.db import connection

from orbit.models import CycleRun
from tests.support.callers import api, create_user, problem
from tests.support.configuration import active_cycle
from tests.support.pipeline import configure_profiles, rows

pytestmark = pytest.mark.django_db

TRIGGER = "/cycles/trigger"
HALT = """UPDATE governance_governancesetting s SET halt = true, mode = 'halting'
FROM governance_namespace n WHERE n.id = s.namespace_id AND n.name = %s"""


def test_an_empty_body_starts_a_raw_cycle_in_default() -> None:
    answer = api(create_user()).post(TRIGGER)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["status"], body["namespace"], body["resumed"]) == ("pending", "default", False)
    cycle = CycleRun.objects.get(pk=body["cycle_run_id"])
    assert (bytes(cycle.input), cycle.input_content_type, cycle.trigger, cycle.triggered_by) == (
        b"{}",
        "application/json",
        "rest",
        "ann",
    )


def test_a_json_payload_is_kept_as_sent_without_white_space() -> None:
    odd = b'{"z": 1, "a": [1.0, 1e3, -0, 0.12345678901234567890, "\\u00e9 \xc3\xa9", 1e-400]}'
    answer = api(create_user()).post(TRIGGER, b'{ "payload": ' + odd + b', "namespace":"default" }')
    cycle = CycleRun.objects.get(pk=answer.json()["cycle_run_id"])
    assert bytes(cycle.input) == (
        b'{"z":1,"a":[1.0,1e3,-0,0.12345678901234567890,"\\u00e9 \xc3\xa9",1e-400]}'
    )
    assert cycle.input_sha256 == hashlib.sha256(bytes(cycle.input)).hexdigest()


def test_null_is_a_payload() -> None:
    answer = api(create_user()).post(TRIGGER, {"payload": None})
    assert bytes(CycleRun.objects.get(pk=answer.json()["cycle_run_id"]).input) == b"null"


def test_a_base64_payload_is_kept_byte_for_byte() -> None:
    raw = bytes(range(256)) + b'{"z": 1.0,\r\n}'
    body = {
        "payload_base64": base64.b64encode(raw).decode(),
        "payload_content_type": "application/x-thing; v=1",
    }
    cycle = CycleRun.objects.get(pk=api(create_user()).post(TRIGGER, body).json()["cycle_run_id"])
    assert (bytes(cycle.input), cycle.input_content_type) == (raw, "application/x-thing; v=1")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"payload": 1, "payload_base64": "AA=="}, "/payload_base64"),
        ({"payload": 1, "payload_content_type": "text/plain"}, "/payload_content_type"),
        ({"payload_base64": "AAA"}, "/payload_base64"),
        ({"payload_base64": "AA==\n"}, "/payload_base64"),
        ({"payload_base64": "é==="}, "/payload_base64"),
        (
            {"payload_base64": "AA==", "payload_content_type": "text/plain\r\nX: 1"},
            "/payload_content_type",
        ),
        ({"payload_base64": "AA==", "payload_content_type": "é"}, "/payload_content_type"),
        ({"payload_base64": "AA==", "payload_content_type": "a" * 201}, "/payload_content_type"),
        ({"namespace": 7}, "/namespace"),
        ({"run_profile_id": ["r"]}, "/run_profile_id"),
        ({"run_profil_id": "r"}, "/run_profil_id"),
        ([], ""),
    ],
)
def test_a_wrong_body_is_refused_with_a_pointer_and_starts_nothing(body: Any, pointer: str) -> None:
    refusal = problem(api(create_user()).post(TRIGGER, body), 422, "invalid_body")
    assert [error["pointer"] for error in refusal["errors"]] == [pointer]
    assert not CycleRun.objects.exists()


def test_an_active_cycle_is_named_in_the_refusal() -> None:
    configure_profiles(r1={"namespace": "a"})
    active = active_cycle("a")
    refusal = problem(
        api(create_user()).post(TRIGGER, {"run_profile_id": "r1"}), 409, "cycle_active"
    )
    assert refusal["active_cycle_run_id"] == str(active.pk)
    assert rows(
        "SELECT count(*) FROM orbit_executionrecord "
        "WHERE event = 'cycle_skipped' AND namespace = 'a'"
    ) == [(1,)]


def test_refusals_have_their_codes() -> None:
    configure_profiles(r1={"namespace": "a"}, off={"namespace": "b", "state": "disabled"})
    client = api(create_user())
    problem(client.post(TRIGGER, {"namespace": "nowhere"}), 404, "unknown_namespace")
    problem(client.post(TRIGGER, {"run_profile_id": "nothing"}), 404, "unknown_run_profile")
    problem(client.post(TRIGGER, {"run_profile_id": "off"}), 409, "disabled")
    problem(
        client.post(TRIGGER, {"run_profile_id": "r1", "namespace": "b"}), 422, "namespace_mismatch"
    )
    with connection.cursor() as cursor:
        cursor.execute(HALT, ["a"])
    problem(client.post(TRIGGER, {"run_profile_id": "r1"}), 423, "namespace_halted")
    assert not CycleRun.objects.exists()


def test_a_pause_by_the_environment_is_a_423(settings: Any) -> None:
    settings.ORBIT_GLOBAL_PAUSE = True
    problem(api(create_user()).post(TRIGGER), 423, "globally_paused")


def test_the_same_request_under_one_key_gives_the_stored_answer_even_while_the_cycle_runs() -> None:
    client = api(create_user())
    first = client.post(TRIGGER, b"{}", Idempotency_Key="k-1")
    second = client.post(TRIGGER, b"{}", Idempotency_Key="k-1")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert CycleRun.objects.count() == 1
    problem(client.post(TRIGGER, b"{ }", Idempotency_Key="k-1"), 422, "idempotency_key_reused")


def test_a_refusal_is_not_stored() -> None:
    active = active_cycle()
    client = api(create_user())
    problem(client.post(TRIGGER, Idempotency_Key="k-1"), 409, "cycle_active")
    CycleRun.objects.filter(pk=active.pk).update(
        status="cancelled", finished_at="2026-01-01T00:00:00Z"
    )
    assert client.post(TRIGGER, Idempotency_Key="k-1").status_code == 202


def test_a_refusal_under_a_key_still_records_the_skip() -> None:
    active_cycle()
    problem(api(create_user()).post(TRIGGER, Idempotency_Key="k-1"), 409, "cycle_active")
    assert rows("SELECT count(*) FROM orbit_executionrecord WHERE event = 'cycle_skipped'") == [
        (1,)
    ]


def test_a_key_belongs_to_its_user_for_a_day() -> None:
    first, second = api(create_user("ann")), api(create_user("bob"))
    cycle_id = first.post(TRIGGER, Idempotency_Key="k-1").json()["cycle_run_id"]
    problem(second.post(TRIGGER, Idempotency_Key="k-1"), 409, "cycle_active")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE governance_idempotentrequest SET created_at = now() - interval '25 hours'"
        )
    CycleRun.objects.filter(pk=cycle_id).update(
        status="cancelled", finished_at="2026-01-01T00:00:00Z"
    )
    assert first.post(TRIGGER, Idempotency_Key="k-1").json()["cycle_run_id"] != cycle_id


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", "schlüssel"])
def test_a_malformed_key_is_refused(key: str) -> None:
    problem(api(create_user()).post(TRIGGER, Idempotency_Key=key), 400, "invalid_idempotency_key")
