"""GET /profiles and /run-profiles."""

import pytest

from tests.support.callers import api, person, problem
from tests.support.configuration import profile, run_profile, store

pytestmark = pytest.mark.django_db


def test_a_profile_is_its_whole_document_with_its_revision_as_etag() -> None:
    document = profile("p1", style_vector={"tone": 0.7})
    store([document], [])
    client = api(person())
    answer = client.get("/profiles/p1")
    assert (answer.json(), answer.headers["ETag"]) == (document, '"1"')
    store([{**document, "label": "Other"}], [])
    assert client.get("/profiles/p1").headers["ETag"] == '"2"'
    problem(client.get("/profiles/p2"), 404, "unknown_profile")


def test_run_profiles_are_listed_by_id_and_filtered() -> None:
    store([profile("p1"), profile("p2")], [run_profile("b", "p1", "eu"), run_profile("a", "p2", "us"), run_profile("c", "p1", "us", state="disabled")])
    client = api(person())

    def ids(query: str) -> list[str]:
        return [row["run_profile_id"] for row in client.get(f"/run-profiles{query}").json()["results"]]

    assert ids("") == ["a", "b", "c"]
    assert (ids("?namespace=us"), ids("?profile_id=p1"), ids("?state=disabled")) == (["a", "c"], ["b", "c"], ["c"])
    page = client.get("/run-profiles?limit=2").json()
    assert ids("?" + page["next"].partition("?")[2]) == ["c"]
    answer = client.get("/run-profiles/a")
    assert (answer.json()["namespace"], answer.headers["ETag"]) == ("us", '"1"')
    problem(client.get("/run-profiles/z"), 404, "unknown_run_profile")


def test_a_confined_person_sees_the_profiles_that_run_in_their_namespaces() -> None:
    store([profile("p1"), profile("p2")], [run_profile("b", "p1", "eu"), run_profile("a", "p2", "us")])
    client = api(person("bea", "Viewer", "us"))
    assert [row["profile_id"] for row in client.get("/profiles").json()["results"]] == ["p2"]
    problem(client.get("/profiles/p1"), 404, "unknown_profile")
