import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from governance.access.actors import SYSTEM
from governance.models import AuditTrailEntry, Namespace, Stop
from governance.namespaces import halts, registry
from tests.support.callers import Api, api, console, create_user, problem

pytestmark = pytest.mark.django_db
ROOT = "/governance/namespaces"
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
CERTIFICATE = {
    "by": "orbit",
    "reason": "a flood",
    "commanded_at": LATER,
    "last_delivery_started_at": None,
    "started_after_command": 0,
    "in_flight": [],
    "in_flight_count": 0,
    "quiet_at": LATER,
}


@pytest.fixture
def operator() -> Api:
    return api(create_user())


def test_a_halt_without_a_body_is_a_halt(operator: Api) -> None:
    answer = operator.post(f"{ROOT}/default/halt")
    assert answer.status_code == 200
    body = answer.json()
    assert {**body, "since": None} == {
        "namespace": "default",
        "state": "halting",
        "halt": True,
        "reason": "none given",
        "by": "ann",
        "since": None,
        "until": None,
        "certificate": None,
    }
    assert body["since"].endswith("Z")
    assert (
        AuditTrailEntry.objects.get(action="namespace.halted").request_id
        == answer.headers["X-Request-ID"]
    )
    problem(operator.post("/cycles/trigger", {}), 423, "namespace_halted")


@pytest.mark.parametrize(
    "body", [{}, {"reason": None, "until": None}, {"reason": ""}, {"reason": "  "}]
)
def test_a_halt_is_never_refused_for_want_of_a_reason(operator: Api, body: Any) -> None:
    answer = operator.post(f"{ROOT}/default/halt", body)
    assert (answer.status_code, answer.json()["reason"]) == (200, "none given")


def test_a_refused_trigger_says_who_stopped_it_and_why(operator: Api) -> None:
    operator.post(f"{ROOT}/default/halt", {"reason": "a flood", "until": LATER})
    refusal = problem(operator.post("/cycles/trigger", {}), 423, "namespace_halted")
    assert (refusal["by"], refusal["reason"], refusal["namespace"]) == ("ann", "a flood", "default")
    assert datetime.fromisoformat(refusal["until"]) == datetime.fromisoformat(LATER)
    operator.post(f"{ROOT}/default/resume", {"reason": "dry"})
    operator.post(f"{ROOT}/default/drain", {"reason": "a release"})
    problem(operator.post("/cycles/trigger", {}), 423, "namespace_draining")
    operator.post("/governance/pause", {"reason": "a fire"})
    assert problem(operator.post("/cycles/trigger", {}), 423, "globally_paused")["by"] == "ann"


def test_drain_and_resume_answer_the_status_and_a_halted_namespace_is_not_drained(
    operator: Api,
) -> None:
    assert (
        operator.post(f"{ROOT}/default/drain", {"reason": "a release", "until": LATER}).json()[
            "state"
        ]
        == "draining"
    )
    assert (
        operator.post(f"{ROOT}/default/resume", {"reason": "released"}).json()["state"] == "running"
    )
    operator.post(f"{ROOT}/default/halt", {})
    problem(operator.post(f"{ROOT}/default/drain", {"reason": "a release"}), 409, "halted")


@pytest.mark.parametrize("action", ["drain", "resume"])
@pytest.mark.parametrize("body", [b"", {}, {"reason": ""}, {"reason": "  "}])
def test_a_missing_reason_is_refused_with_its_pointer(
    operator: Api, action: str, body: Any
) -> None:
    assert problem(operator.post(f"{ROOT}/default/{action}", body), 422, "invalid_body")["errors"][
        0
    ]["pointer"] in {"", "/reason"}


@pytest.mark.parametrize(
    "until",
    [
        "2020-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2199-01-01T00:00:00Z",
    ],
)
def test_an_end_in_the_past_or_too_far_ahead_is_refused(operator: Api, until: str) -> None:
    assert (
        problem(operator.post(f"{ROOT}/default/halt", {"until": until}), 422, "invalid_until")[
            "errors"
        ][0]["pointer"]
        == "/until"
    )


@pytest.mark.parametrize("until", ["tomorrow", "2099-01-01T00:00:00", "", 5, True, [], "2" * 51])
def test_an_end_that_is_not_a_time_is_refused(operator: Api, until: Any) -> None:
    assert (
        problem(operator.post(f"{ROOT}/default/halt", {"until": until}), 422, "invalid_body")[
            "errors"
        ][0]["pointer"]
        == "/until"
    )
    assert not Stop.objects.exists()


@pytest.mark.parametrize("body", [{"raison": "x"}, [], "x", {"reason": 5}, {"reason": "x" * 2001}])
def test_a_halt_with_a_body_that_cant_be_read_is_refused(operator: Api, body: Any) -> None:
    problem(operator.post(f"{ROOT}/default/halt", body), 422, "invalid_body")


def test_an_unknown_namespace_is_a_404_and_made_halted_for_an_unconfined_administrator(
    operator: Api,
) -> None:
    for action in ("halt", "drain", "resume"):
        problem(operator.post(f"{ROOT}/new/{action}", {"reason": "r"}), 404, "unknown_namespace")
    confined = api(create_user("bea", "Administrator", "a"))
    problem(confined.post(f"{ROOT}/new/halt", {}), 404, "unknown_namespace")
    problem(confined.post(f"{ROOT}/default/halt", {}), 404, "unknown_namespace")
    problem(confined.get(f"{ROOT}/default"), 404, "unknown_namespace")
    # A token has scopes, and none of them is to administer.
    problem(
        api(create_user("adm", "Administrator")).post(f"{ROOT}/new/halt", {}),
        404,
        "unknown_namespace",
    )
    browser = _session(create_user("ada", "Administrator"))
    assert (
        browser.post(f"{ROOT}/new/halt", b"", content_type="application/json").json()["state"]
        == "halting"
    )
    for name in ("%00", "%FF", "..", "a%0Ab", "x" * 500, "%ED%A0%80"):
        assert browser.post(
            f"{ROOT}/{name}/halt", b"", content_type="application/json"
        ).status_code in {400, 404}, name


def test_administrators_create_namespaces(operator: Api) -> None:
    problem(operator.post(ROOT, {"name": "eu"}), 403, "forbidden")
    browser = _session(create_user("ada", "Administrator"))

    def make(body: Any) -> Any:
        return browser.post(ROOT, json.dumps(body), content_type="application/json")

    response = make({"name": "eu"})
    assert (response.status_code, response.json()["name"], response.json()["state"]) == (
        201,
        "eu",
        "running",
    )
    assert response.json()["external_id"] == str(Namespace.objects.get(name="eu").external_id)
    problem(make({"name": "eu"}), 409, "namespace_exists")
    for name in ("", "a b", "-eu", "e\u202eu", "x" * 101):
        assert problem(make({"name": name}), 422, "invalid_name")["errors"][0]["pointer"] == "/name"
    assert problem(make({"name": None}), 422, "invalid_body")["errors"][0]["pointer"] == "/name"
    assert problem(make({}), 422, "invalid_body")
    problem(
        _session(create_user("bea", "Administrator", "eu")).post(
            ROOT, json.dumps({"name": "us"}), content_type="application/json"
        ),
        403,
        "forbidden",
    )


def test_the_list_shows_the_visible_namespaces_with_their_status(operator: Api) -> None:
    registry.ensure(["a", "b", "c"])
    halts.halt("b", actor=SYSTEM, reason="a flood")
    halts.drain("c", actor=SYSTEM, reason="a release")
    status = {row["name"]: row["state"] for row in operator.get(ROOT).json()["results"]}
    assert status == {"default": "running", "a": "running", "b": "halting", "c": "draining"}
    assert [row["name"] for row in operator.get(f"{ROOT}?state=halting").json()["results"]] == ["b"]
    assert [row["name"] for row in operator.get(f"{ROOT}?state=running").json()["results"]] == [
        "default",
        "a",
    ]
    assert [
        row["name"]
        for row in api(create_user("bea", "Viewer", "a", "b"), "read").get(ROOT).json()["results"]
    ] == ["a", "b"]
    page = operator.get(f"{ROOT}?limit=2").json()
    assert len(page["results"]) == 2
    assert len(operator.get(page["next"]).json()["results"]) == 2
    problem(operator.get(f"{ROOT}?state=odd"), 400, "invalid_parameter")


def test_a_namespace_is_shown_with_its_stops_and_their_certificates(operator: Api) -> None:
    halts.halt("default", actor=SYSTEM, reason="a flood")
    halts.mark_quiet(
        Stop.objects.get().pk, at=datetime.now(UTC), certificate=json.dumps(CERTIFICATE)
    )
    status = operator.get(f"{ROOT}/default").json()
    assert (status["state"], status["certificate"]) == ("quiet", CERTIFICATE)
    operator.post(f"{ROOT}/default/resume", {"reason": "dry"})
    status = operator.get(f"{ROOT}/default").json()
    assert (status["state"], status["certificate"], status["reason"]) == ("running", None, "")
    (stop,) = status["stops"]
    assert (stop["kind"], stop["by"], stop["reason"], stop["ended_by"], stop["ended_reason"]) == (
        "halt",
        "orbit",
        "a flood",
        "ann",
        "dry",
    )
    assert stop["certificate"] == CERTIFICATE


def _session(user: Any) -> Any:
    browser = console(user)
    browser.raise_request_exception = False
    return browser
