"""``/profiles/{id}/revisions``: list, read, restore."""

import pytest

from governance import audit
from governance.models import AuditTrailEntry
from orbit.models import Profile
from orbit.profiles import revisions
from tests.support.callers import api, create_user, problem
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db


def test_revisions_are_listed_newest_first_in_pages_and_shown_whole() -> None:
    for label in ("a", "b", "c"):
        store_profiles([profile("p1", label=label)], [])
    client = api(create_user())
    page = client.get("/profiles/p1/revisions?limit=2").json()
    assert [(row["number"], row["author"], row["source"]) for row in page["results"]] == [
        (3, "orbit", "admin"),
        (2, "orbit", "admin"),
    ]
    assert "document" not in page["results"][0]
    assert [
        row["number"]
        for row in client.get(f"/profiles/p1/revisions?{page['next'].partition('?')[2]}").json()[
            "results"
        ]
    ] == [1]
    assert client.get("/profiles/p1/revisions/1").json()["document"] == profile("p1", label="a")
    for path in (
        "/profiles/p1/revisions/4",
        "/profiles/p1/revisions/0",
        "/profiles/p1/revisions/99999999999999999999",
    ):
        problem(client.get(path), 404, "unknown_revision")
    problem(client.get("/profiles/p2/revisions"), 404, "unknown_profile")
    problem(client.get("/run-profiles/p2/revisions/1"), 404, "unknown_run_profile")


def test_a_restore_is_a_new_revision_if_the_etag_still_matches() -> None:
    store_profiles([profile("p1")], [run_profile("r1", "p1")])
    store_profiles([], [run_profile("r1", "p1", value_tags=["x"])])
    client = api(create_user("con", "Configurator"))
    path = "/run-profiles/r1/revisions/1/restore"
    problem(client.post(path, {"reason": "back"}), 428, "precondition_required")
    problem(client.post(path, {"reason": "back"}, If_Match='"1"'), 412, "stale")
    problem(client.post(path, {"reason": " "}, If_Match='"2"'), 422, "invalid_body")
    problem(
        client.post("/run-profiles/r1/revisions/9/restore", {"reason": "back"}, If_Match='"2"'),
        404,
        "unknown_revision",
    )
    answer = client.post(path, {"reason": "back"}, If_Match='"2"')
    assert (answer.status_code, answer.headers["ETag"], answer.json()) == (
        200,
        '"3"',
        run_profile("r1", "p1"),
    )
    entry = AuditTrailEntry.objects.get(action="run_profile.changed")
    assert (entry.namespace, entry.reason) == ("eu", "back to revision 1: back")
    problem(
        api(create_user("op", "Operator")).post(path, {"reason": "back"}, If_Match='"3"'),
        403,
        "forbidden",
    )


def test_a_hidden_profile_comes_back_as_a_new_one() -> None:
    store_profiles([profile("p1")], [run_profile("r1", "p1")])
    with audit.transaction():
        revisions.hide_others(profiles=["p1"], run_profiles=[])
    client = api(create_user("con", "Configurator"))
    problem(client.get("/run-profiles/r1"), 404, "unknown_run_profile")
    path = "/run-profiles/r1/revisions/1/restore"
    problem(client.post(path, {"reason": "back"}, If_Match="*"), 412, "stale")
    answer = client.post(path, {"reason": "back"}, If_None_Match="*")
    assert (answer.status_code, answer.json()) == (201, run_profile("r1", "p1"))
    assert client.get("/run-profiles/r1").headers["ETag"] == answer.headers["ETag"]


def test_a_confined_user_sees_no_revision_of_another_namespace() -> None:
    store_profiles([profile("p1")], [run_profile("r1", "p1", "us")])
    store_profiles([], [run_profile("r1", "p1", "eu")])
    client = api(create_user("con", "Configurator", "eu"))
    assert [
        row["number"] for row in client.get("/run-profiles/r1/revisions").json()["results"]
    ] == [2]
    problem(client.get("/run-profiles/r1/revisions/1"), 404, "unknown_revision")
    problem(
        client.post("/run-profiles/r1/revisions/1/restore", {"reason": "x"}, If_Match='"2"'),
        404,
        "unknown_revision",
    )
    problem(
        api(create_user("bea", "Configurator", "us")).get("/run-profiles/r1/revisions"),
        404,
        "unknown_run_profile",
    )
    assert Profile.objects.get().revision == 1
