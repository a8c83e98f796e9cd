"""Proposals over REST."""

import json
from typing import Any

import pytest

from advisory.models import StrategyProposal
from tests.support import cycle_events
from tests.support.callers import Api, api, create_user, problem
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db
DISABLE = [{"op": "replace", "path": "/state", "value": "disabled"}]


@pytest.fixture
def ann() -> Api:
    store_profiles([profile()], [run_profile()])
    return api(create_user("ann", "Operator"))


def propose(client: Api, **members: Any) -> Any:
    body = {"profile_id": "daily", "patch": DISABLE, "rationale": "It fails.", **members}
    return client.post(
        "/strategy-proposals", {name: value for name, value in body.items() if value is not None}
    )


def test_a_user_proposes_and_reads_it_with_the_checks(ann: Api) -> None:
    answer = propose(ann, title="Stop it")
    assert answer.status_code == 201
    made = answer.json()
    assert made["state"] == "pending"
    assert (made["profile_id"], made["run_profile_id"]) == ("daily", None)
    assert (made["patch"], made["rationale"], made["author"]) == (DISABLE, "It fails.", "ann")
    again = propose(ann)
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    detail = ann.get(f"/strategy-proposals/{made['id']}").json()
    assert {check["code"]: check["ok"] for check in detail.pop("checks")} == {
        "revision_current": True,
        "result_fits": True,
        "not_its_author": False,
        "namespaces_running": True,
    }
    assert len(detail.pop("seen_sha256")) == 64
    assert (detail.pop("track_record")["rule"], detail) == (None, made)
    assert ann.get("/strategy-proposals?state=pending").json()["results"] == [made]
    assert ann.get("/strategy-proposals?author=bea").json()["results"] == []


def test_a_proposal_of_a_run_profile(ann: Api) -> None:
    made = propose(ann, profile_id=None, run_profile_id="daily-eu").json()
    assert (made["profile_id"], made["run_profile_id"]) == ("daily", "daily-eu")


@pytest.mark.parametrize(
    ("members", "status", "code", "pointer"),
    [
        ({"profile_id": None}, 422, "invalid_body", ""),
        ({"run_profile_id": "daily-eu"}, 422, "invalid_body", ""),
        ({"profile_id": "nightly"}, 404, "unknown_profile", None),
        ({"profile_id": None, "run_profile_id": "x"}, 404, "unknown_run_profile", None),
        ({"rationale": " "}, 422, "invalid_body", "/rationale"),
        ({"patch": {}}, 422, "invalid_body", "/patch"),
        ({"patch": []}, 422, "invalid_patch", "/patch"),
        ({"patch": [{"op": "remove", "path": "/x"}]}, 422, "invalid_patch", "/patch/0/path"),
        ({"patch": [{"op": "remove", "path": "/label"}]}, 422, "invalid_patch", "/patch"),
        (
            {"patch": [{"op": "replace", "path": "/profile_id", "value": "x"}]},
            422,
            "invalid_patch",
            "/patch/0/path",
        ),
        (
            {"patch": [{"op": "test", "path": "/label", "value": 10**400}]},
            422,
            "invalid_patch",
            "/patch/0",
        ),
        (
            {"patch": [{"op": "test", "path": "/label", "value": "Daily"}, *DISABLE] * 51},
            422,
            "invalid_patch",
            "/patch",
        ),
        ({"title": "a\u202eb"}, 422, "invalid_patch", "/title"),
        ({"base_revision": 2}, 409, "superseded", None),
        ({"author": "orbit"}, 422, "invalid_body", "/author"),
    ],
)
def test_what_cant_be_proposed_is_refused_with_the_place(
    ann: Api, members: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    refusal = problem(propose(ann, **members), status, code)
    if pointer is not None:
        assert refusal["errors"][0]["pointer"] == pointer
    assert not StrategyProposal.objects.exists()


def test_bodies_of_a_megabyte_are_refused(ann: Api) -> None:
    large = [{"op": "add", "path": "/label", "value": "x" * 1_000_000}]
    problem(propose(ann, patch=large), 422, "invalid_patch")
    many = [{"op": "add", "path": f"/x{number}", "value": 1} for number in range(20_000)]
    problem(propose(ann, patch=many), 422, "invalid_patch")
    larger = json.dumps({"patch": "x" * 1_048_576}).encode()
    problem(ann.post("/strategy-proposals", larger), 413, "body_too_large")


def test_proposals_are_generated_for_low_performance_and_not_twice(ann: Api) -> None:
    cycle_events.store(cycle_events.cycles(20, 30), cycle_events.cycles(97, 3, days_ago=12))
    answer = ann.post("/profiles/daily/strategy-proposals")
    assert answer.status_code == 201
    (made,) = answer.json()
    assert (made["author"], made["requested_by"], made["rule"]) == (
        "orbit",
        "ann",
        "disable_profile",
    )
    assert ann.post("/profiles/daily/strategy-proposals").json() == [made]
    problem(ann.post("/profiles/nightly/strategy-proposals"), 404, "unknown_profile")


def test_a_profile_without_low_performance_gets_none(ann: Api) -> None:
    answer = ann.post("/profiles/daily/strategy-proposals", {})
    assert (answer.status_code, answer.json()) == (201, [])


def test_another_namespaces_proposal_is_not_there(ann: Api) -> None:
    made = propose(ann).json()
    other = api(create_user("bea", "Reviewer", "us"))
    problem(other.get(f"/strategy-proposals/{made['id']}"), 404, "unknown_proposal")
    assert other.get("/strategy-proposals").json()["results"] == []
    assert api(create_user("cy", "Reviewer", "eu")).get("/strategy-proposals").json()["results"]


def test_pages_go_on_where_the_last_one_ended(ann: Api) -> None:
    for number in range(5):
        propose(ann, patch=[{"op": "replace", "path": "/label", "value": f"L{number}"}])
    first = ann.get("/strategy-proposals?limit=3").json()
    rest = ann.get(first["next"].partition("testserver")[2]).json()
    labels = [one["patch"][0]["value"] for one in first["results"] + rest["results"]]
    assert labels == ["L4", "L3", "L2", "L1", "L0"]
    assert rest["next"] is None
