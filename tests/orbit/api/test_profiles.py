"""GET /profiles and /run-profiles."""

import pytest

from governance.namespaces import registry
from orbit.models import ProfileRevision
from tests.support.callers import api, create_user, problem
from tests.support.configuration import profile, run_profile, store_profiles

pytestmark = pytest.mark.django_db


def test_a_profile_is_its_whole_document_with_its_revision_as_etag() -> None:
    document = profile("p1", style_vector={"tone": 0.7})
    store_profiles([document], [])
    client = api(create_user())
    answer = client.get("/profiles/p1")
    assert (answer.json(), answer.headers["ETag"]) == (document, '"1"')
    store_profiles([{**document, "label": "Other"}], [])
    assert client.get("/profiles/p1").headers["ETag"] == '"2"'
    problem(client.get("/profiles/p2"), 404, "unknown_profile")


def test_run_profiles_are_listed_by_id_and_filtered() -> None:
    store_profiles(
        [profile("p1"), profile("p2")],
        [
            run_profile("b", "p1", "eu"),
            run_profile("a", "p2", "us"),
            run_profile("c", "p1", "us", state="disabled"),
        ],
    )
    client = api(create_user())

    def ids(query: str) -> list[str]:
        return [
            row["run_profile_id"] for row in client.get(f"/run-profiles{query}").json()["results"]
        ]

    assert ids("") == ["a", "b", "c"]
    assert (ids("?namespace=us"), ids("?profile_id=p1"), ids("?state=disabled")) == (
        ["a", "c"],
        ["b", "c"],
        ["c"],
    )
    page = client.get("/run-profiles?limit=2").json()
    assert ids("?" + page["next"].partition("?")[2]) == ["c"]
    answer = client.get("/run-profiles/a")
    assert (answer.json()["namespace"], answer.headers["ETag"]) == ("us", '"1"')
    problem(client.get("/run-profiles/z"), 404, "unknown_run_profile")


def test_a_confined_user_sees_the_profiles_that_run_in_their_namespaces() -> None:
    store_profiles(
        [profile("p1"), profile("p2")], [run_profile("b", "p1", "eu"), run_profile("a", "p2", "us")]
    )
    client = api(create_user("bea", "Viewer", "us"))
    assert [row["profile_id"] for row in client.get("/profiles").json()["results"]] == ["p2"]
    problem(client.get("/profiles/p1"), 404, "unknown_profile")


def test_a_whole_document_is_put_if_the_etag_still_matches() -> None:
    store_profiles([profile("p1")], [])
    client = api(create_user("con", "Configurator"))
    read = client.get("/profiles/p1")
    answer = client.put(
        "/profiles/p1",
        {**read.json(), "label": "Other"},
        If_Match=read.headers["ETag"],
        X_Orbit_Reason="für die Prüfung",
    )
    assert (answer.status_code, answer.headers["ETag"], answer.json()["label"]) == (
        200,
        '"2"',
        "Other",
    )
    row = ProfileRevision.objects.get(number=2)
    assert (row.source, row.author, row.reason) == ("api", "con", "für die Prüfung")
    refusal = problem(
        client.put("/profiles/p1", {**read.json(), "label": "Late"}, If_Match=read.headers["ETag"]),
        412,
        "stale",
    )
    assert (refusal["current_revision"], refusal["changed_by"]) == (2, "con")
    assert client.get("/profiles/p1").json()["label"] == "Other"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 428, "precondition_required"),
        ({"If_None_Match": '"1"'}, 428, "precondition_required"),
        ({"If_Match": 'W/"1"'}, 412, "stale"),
        ({"If_Match": '"2"'}, 412, "stale"),
        ({"If_Match": '"x", "99999999999999"'}, 412, "stale"),
        ({"If_Match": "1"}, 400, "invalid_header"),
        ({"If_Match": ""}, 400, "invalid_header"),
        ({"If_Match": '"1'}, 400, "invalid_header"),
        ({"If_Match": '"' + "1" * 5000 + '"'}, 400, "invalid_header"),
        ({"If_None_Match": "*"}, 412, "stale"),
        ({"If_None_Match": "*", "If_Match": '"1"'}, 412, "stale"),
        ({"If_Match": '"1"', "X_Orbit_Reason": "a\tb"}, 400, "invalid_header"),
        ({"If_Match": '"1"', "X_Orbit_Reason": "x" * 2001}, 400, "invalid_header"),
    ],
)
def test_an_edit_without_the_right_precondition_is_refused(
    headers: dict[str, str], status: int, code: str
) -> None:
    store_profiles([profile("p1")], [])
    problem(
        api(create_user("con", "Configurator")).put(
            "/profiles/p1", profile("p1", label="x"), **headers
        ),
        status,
        code,
    )
    assert ProfileRevision.objects.count() == 1


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ('W/"1"', 'If-Match has the weak ETag W/"1"'),
        ('W/"1", "7"', "gzip off"),
        ('W/"0f3a"', "without W/"),
        ('"7"', "Read it, and put your change into it."),
        ("1", 'such as "1"'),
        ('W/1, "1"', "in quotes"),
        ('*, "1"', "in quotes"),
    ],
)
def test_a_tag_that_cannot_match_is_refused_with_the_reason(match: str, words: str) -> None:
    store_profiles([profile("p1")], [])
    client = api(create_user("con", "Configurator"))
    answer = client.put("/profiles/p1", profile("p1", label="x"), If_Match=match)
    assert answer.status_code in {400, 412}
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("match", ['"1"', ' "7" , "1"', "*", 'W/"7", "1"'])
def test_any_of_several_tags_may_match(match: str) -> None:
    store_profiles([profile("p1")], [])
    assert (
        api(create_user("con", "Configurator"))
        .put("/profiles/p1", profile("p1", label="x"), If_Match=match)
        .status_code
        == 200
    )


def test_a_new_profile_is_created_with_if_none_match() -> None:
    registry.ensure(["eu"])
    client = api(create_user("con", "Configurator"))
    answer = client.put("/profiles/p1", profile("p1"), If_None_Match="*")
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert (
        client.put("/run-profiles/r1", run_profile("r1", "p1"), If_None_Match="*").status_code
        == 201
    )
    assert client.get("/run-profiles/r1").json() == run_profile("r1", "p1")
    problem(client.put("/run-profiles/r2", run_profile("r2", "p1"), If_Match='"1"'), 412, "stale")
    problem(
        client.put("/run-profiles/r2", run_profile("r3", "p1"), If_None_Match="*"),
        422,
        "invalid_document",
    )


def test_errors_of_a_document_come_with_pointers_and_hostile_bodies_with_their_code() -> None:
    store_profiles([profile("p1")], [run_profile("r1", "p1")])
    client = api(create_user("con", "Configurator"))
    refusal = problem(
        client.put(
            "/run-profiles/r1",
            run_profile(
                "r1", "p1", namespace="zz", more=1, execution_policy={"cron": "* * * * * *"}
            ),
            If_Match='"1"',
        ),
        422,
        "invalid_document",
    )
    assert {error["pointer"] for error in refusal["errors"]} == {
        "/namespace",
        "/more",
        "/execution_policy/cron",
    }
    for body, status, code in (
        (b"[]", 422, "invalid_body"),
        (b"{", 400, "malformed_json"),
        (b'{"label": "\\u0000"}', 400, "malformed_json"),
        (b"", 422, "invalid_document"),
        (b'{"a": 1, "a": 2}', 400, "malformed_json"),
        (b"{" + b" " * 10_000_000 + b"}", 413, "body_too_large"),
        (b'{"style_vector": {"a": "' + b"x" * 400_000 + b'"}}', 422, "invalid_document"),
    ):
        problem(client.put("/profiles/p1", body, If_Match='"1"'), status, code)
    problem(
        client.put("/profiles/p1", b"{}", "text/plain", If_Match='"1"'),
        415,
        "unsupported_media_type",
    )
    for path in ("/profiles/a%00b", "/run-profiles/%FF"):
        assert client.put(path, profile("p1"), If_Match='"1"').status_code in {400, 404, 412, 422}


def test_only_a_user_who_may_configure_puts() -> None:
    store_profiles([profile("p1")], [])
    problem(
        api(create_user("op", "Operator")).put("/profiles/p1", b"\xff", If_Match='"1"'),
        403,
        "forbidden",
    )
    problem(api().put("/profiles/p1", b"\xff", If_Match='"1"'), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"1"', 304),
        ('W/"1"', 304),
        ('"7", "1"', 304),
        ("*", 304),
        ('"2"', 200),
        ("nonsense", 200),
        ('"1', 200),
        ("", 200),
    ],
)
def test_an_unchanged_profile_is_a_304(tag: str, status: int) -> None:
    store_profiles([profile("p1")], [run_profile("r1", "p1")])
    for path in ("/profiles/p1", "/run-profiles/r1"):
        answer = api(create_user(f"p{path.count('-')}")).get(path, If_None_Match=tag)
        assert (answer.status_code, answer.headers["ETag"]) == (status, '"1"')
        assert (status == 304) == (answer.content == b"")
