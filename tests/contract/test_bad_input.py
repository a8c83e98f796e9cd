"""Bad input is refused as a problem document, never with a 500."""

import json
import uuid
from typing import Any

import pytest

from orbit.models import CycleRun
from tests.support.callers import Api, api, create_user, problem

pytestmark = pytest.mark.django_db

ID = str(uuid.UUID(int=0))
DEEP = b'{"payload":' + b"[" * 64 + b"]" * 64 + b"}"


@pytest.fixture
def client() -> Api:
    return api(create_user())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"nonsense", 400),
        (b"\xff\xfe", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"payload": "\\u0000"}', 400),
        (b'{"payload": "\\ud800"}', 400),
        (b'{"namespace": "a", "namespace": "b"}', 400),
        (b'{"payload": NaN}', 400),
        (b'{"payload": 1e999}', 400),
        (DEEP, 400),
        (b"[" * 100_000, 400),
        (b'{"payload":' + b"9" * 5000 + b"}", 400),
        (b'{"\\u0000": 1}', 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"x"', 422),
        (b'{"namespaces": "a"}', 422),
        (b'{"__proto__": 1, "id": 7}', 422),
    ],
)
def test_hostile_json_is_refused_and_starts_nothing(client: Api, body: bytes, status: int) -> None:
    answer = client.post("/cycles/trigger", body)
    refusal = problem(answer, status, json.loads(answer.content)["code"])
    assert all({"pointer", "detail"} == set(error) for error in refusal["errors"])
    assert refusal["errors"]
    assert not CycleRun.objects.exists()


def test_nesting_up_to_the_limit_is_fine(client: Api) -> None:
    assert (
        client.post("/cycles/trigger", b'{"payload":' + b"[" * 63 + b"]" * 63 + b"}").status_code
        == 202
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; b=x",
        "",
        "nonsense",
    ],
)
def test_another_content_type_is_a_415(client: Api, content_type: str) -> None:
    problem(
        client.post("/cycles/trigger", b'{"namespace": "default"}', content_type),
        415,
        "unsupported_media_type",
    )


def test_an_encoded_body_is_a_415_and_a_chunked_one_a_411(client: Api) -> None:
    problem(
        client.post("/cycles/trigger", b"{}", Content_Encoding="gzip"),
        415,
        "unsupported_media_type",
    )
    problem(client.post("/cycles/trigger", b"{}", Transfer_Encoding="chunked"), 411, "refused")
    assert not CycleRun.objects.exists()


def test_a_body_over_the_limit_is_a_413(client: Api) -> None:
    body = b'{"payload": "' + b"x" * (1024 * 1024) + b'"}'
    problem(client.post("/cycles/trigger", body), 413, "body_too_large")
    problem(client.post(f"/cycles/{ID}/cancel", b"{}" + b" " * 20_000_000), 404, "unknown_cycle")


@pytest.mark.parametrize(
    "query",
    [
        "namespace=%00",
        "namespace=",
        "namespace=a&namespace=b",
        "status=done",
        "status=%00",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=99999999999999999999",
        "limit=%D9%A1",
        "cursor=cD0x",
        "cursor=",
        "cursor=%00",
        "cursor=%3E" + ID + ":x",
        "cursor=%FF",
        "created_from=yesterday",
        "created_from=2026-01-01",
        "created_from=2026-01-01T00:00:00",
        "created_to=9999-99-99T00:00:00Z",
        "page=2",
        "%00=1",
        "%FF=%FF",
        "run_profile_id=a%0Ab",
    ],
)
def test_an_invalid_parameter_is_a_400(client: Api, query: str) -> None:
    answer = client.get(f"/cycles?{query}")
    assert answer.json()["code"] in {"invalid_parameter", "invalid_cursor"}
    problem(answer, 400, answer.json()["code"])


@pytest.mark.parametrize(
    "query",
    [
        "namespace=%25_%5C%27",
        "created_from=0001-01-01T00:00:00%2B14:00",
        "created_to=9999-12-31T23:59:59Z",
        "created_from=2026-01-01T00:00:00+00:00",
        "created_to=2026-01-01T00:00:00%2B18:22",
        "created_to=9999-12-31T23:59:59-23:59",
    ],
)
def test_an_odd_but_valid_parameter_matches_nothing(client: Api, query: str) -> None:
    answer = client.get(f"/cycles?{query}")
    assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_a_cursor_of_another_list_is_refused(client: Api) -> None:
    for _ in range(3):
        CycleRun.objects.filter(status="pending").update(
            status="cancelled", finished_at="2026-01-01T00:00:00Z"
        )
        assert client.post("/cycles/trigger").status_code == 202
    following = client.get("/cycles?limit=1").json()["next"]
    cursor = following.partition("cursor=")[2]
    assert client.get(f"/cycles?cursor={cursor}").status_code == 200
    problem(client.get(f"/dead-letters?cursor={cursor}"), 400, "invalid_cursor")
    problem(client.get(f"/cycles?cursor={cursor[:-1]}"), 400, "invalid_cursor")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/cycles/",
        "/cycles/x",
        "/cycles/%00",
        f"/cycles/{ID}/nothing",
        "/profiles/%00",
        "/profiles/%FF",
        "/run-profiles/a%0Ab",
        "/run-profiles/../admin",
        "/profiles/" + "a" * 5000,
        "/health/",
        "/api/schema.json",
        "/static/nothing.css",
        "/profiles/%00/revisions",
        "/run-profiles/%FF/revisions/1",
        "/profiles/x/revisions/x",
        "/profiles/x/revisions/-1",
        "/profiles/%00/revisions/1",
        "/run-profiles/%00/revisions/99999999999999999999",
        "/config",
        "/config/nothing",
        "/value-ledger/totals.xml",
    ],
)
def test_an_unknown_path_is_a_404_problem(client: Api, path: str) -> None:
    answer = client.get(path)
    problem(answer, 404, answer.json()["code"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/cycles"),
        ("GET", "/cycles/trigger"),
        ("POST", "/health"),
        ("PUT", "/ready"),
        ("PATCH", f"/cycles/{ID}"),
        ("OPTIONS", "/cycles"),
        ("TRACE", "/cycles"),
        ("BREW", "/cycles"),
        ("POST", "/metrics"),
    ],
)
def test_an_unknown_method_is_a_405_problem(client: Api, method: str, path: str) -> None:
    answer = client.client.generic(method, path)
    problem(answer, 405, "method_not_allowed")
    assert method not in answer.headers["Allow"].split(", ")


def test_a_request_id_is_taken_when_it_is_harmless_and_made_otherwise(client: Api) -> None:
    assert client.get("/health", X_Request_ID="abc-1").headers["X-Request-ID"] != ""
    assert (
        client.client.get("/nothing", headers={"X-Request-ID": "abc-1"}).json()["request_id"]
        == "abc-1"
    )
    request_id = client.client.get("/nothing", headers={"X-Request-ID": "a b\x1b[31m"}).json()[
        "request_id"
    ]
    assert len(request_id) == 32


def test_a_foreign_host_is_a_400_problem(client: Api) -> None:
    problem(client.client.get("/cycles", headers={"Host": "evil.example"}), 400, "malformed")


@pytest.mark.parametrize("reason", [None, "", "  ", 7, "x" * 2001])
def test_an_action_needs_a_reason_in_words(client: Api, reason: Any) -> None:
    started = client.post("/cycles/trigger").json()["cycle_run_id"]
    refusal = problem(
        client.post(f"/cycles/{started}/cancel", {} if reason is None else {"reason": reason}),
        422,
        "invalid_body",
    )
    assert [error["pointer"] for error in refusal["errors"]] in ([""], ["/reason"])
    assert CycleRun.objects.get(pk=started).status == "pending"
