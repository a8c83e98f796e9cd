"""Odd requests to every route: never a 500, refusals are problem documents.

Each route gets a third of the odd inputs; ``make fuzz`` sends all to all.
"""

import json
from collections.abc import Callable, Iterator
from itertools import count, product
from typing import Any, TypeVar

import pytest

from tests.support import objects
from tests.support.callers import Api, api, create_user, session
from tests.support.objects import parameters, url_of

pytestmark = pytest.mark.usefixtures("committed")
Odd = TypeVar("Odd")
Parts = Callable[[list[Odd]], Iterator[Odd]]
#: Each route gets one of this many parts.
PART = 3
LONG_RUN = 50

SEGMENTS = [
    "%00",
    "%FF",
    "%ED%A0%80",
    "%F0%9F%92%A9",
    "%2e%2e",
    "..",
    ".",
    "a%0Ab",
    "%E2%80%AE",
    "a" * 5000,
    "9" * 40,
    "2147483648",
    "9223372036854775808",
    "-1",
    "0",
    "%25",
    "%25%30%30",
    "%C0%AF",
    "'",
    '"',
    ";",
    "%3C%3E",
    "%5C",
    "{}",
    "null",
    "%20",
    "+",
    "*",
    "a%2Fb",
    "%7Bid%7D",
    objects.MISSING_ID.replace("-", ""),
    objects.MISSING_ID.upper().replace("0", "A"),
]
QUERIES = [
    "x=1",
    "%00=1",
    "=",
    "&&&",
    "%FF=%FF",
    "limit=0",
    "limit=" + "9" * 400,
    "limit=1&limit=2",
    "limit=%D9%A1",
    "limit=1e3",
    "cursor=",
    "cursor=%00",
    "cursor=cD0x",
    "cursor=%3E1:x",
    "cursor=" + "A" * 5000,
    "namespace=%00",
    "namespace=%ED%A0%80",
    "namespace=%27%20OR%201=1--",
    "from=9999-12-31T23:59:59-23:59",
    "created_from=0001-01-01T00:00:00%2B23:59",
    "created_to=9999-12-31T23:59:59.999999-23:59",
    "from=-1",
    "to=NaN",
    "offset=-1",
    "offset=10001",
    "status=%00",
    "id=1",
    "namespace[]=a",
    "namespace__in=a",
    "password__startswith=a",
    "format=json",
    "a" * 5000 + "=1",
    "&".join(f"p{i}=1" for i in range(900)),
    "&".join(f"p{i}=1" for i in range(2000)),
]
BODIES = [
    b"{",
    b"nonsense",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b'{"reason": "\\u0000"}',
    b'{"reason": "\\ud800"}',
    b'{"reason": "a", "reason": "b"}',
    b'{"reason": NaN}',
    b'{"reason": 1e999}',
    b'{"reason":' + b"[" * 64 + b"]" * 64 + b"}",
    b"[" * 100_000,
    b'{"reason":' + b"9" * 5000 + b"}",
    b'{"\\u0000": 1}',
    b"null",
    b"[]",
    b'"x"',
    b"7",
    b"true",
    b'{"__proto__": 1, "id": 7, "constructor": {}}',
    b'{"reason": {"$ne": 1}, "x": 1}',
    b"\x00",
    b"{}{}",
    b"{}x",
    b"/* */ {}",
    b"{'reason': 'a'}",
    b'{"reason": "' + b"x" * (1024 * 1024) + b'"}',
]
TYPES = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "nonsense",
    "application/json; charset=utf-16",
    "",
]
HEADERS = [
    {"Accept": "text/html"},
    {"Accept": "application/xml;q=1"},
    {"Accept": ";;;,"},
    {"Accept": "*/*;q=x"},
    {"If-Match": "nonsense"},
    {"If-Match": '"' * 5000},
    {"If-None-Match": "W/"},
    {"If-Modified-Since": "yesterday"},
    {"Range": "bytes=0-"},
    {"Idempotency-Key": ""},
    {"Idempotency-Key": "a" * 256},
    {"Idempotency-Key": "\x00"},
    {"X-Orbit-Reason": "\xff\x00"},
    {"X-HTTP-Method-Override": "DELETE"},
    {"Content-Encoding": "gzip"},
    {"Transfer-Encoding": "chunked"},
    {"Content-Length": "x"},
    {"Content-Length": "-1"},
    {"Content-Length": "9" * 30},
    {"Cookie": "sessionid=\x00; csrftoken=x"},
    {"X-Forwarded-For": "\x00, x"},
    {"Host": "evil.example"},
    {"Expect": "100-continue"},
    {"Origin": "https://evil.example"},
]
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "BREW",
    "get",
]


@pytest.fixture
def ids(settings: Any) -> dict[str, Any]:
    return objects.create_objects(settings)


@pytest.fixture
def client() -> Api:
    return session(create_user("ann", "Administrator"))


@pytest.fixture
def next_part(request: pytest.FixtureRequest) -> Parts[Any]:
    """Return the next third of a list; all of it in a long run."""
    part = 1 if int(request.config.getoption("--examples")) >= LONG_RUN else PART
    calls = count()

    def take(odd: list[Any]) -> Iterator[Any]:
        return iter(odd[next(calls) % part :: part])

    return take


def fault_of(response: Any, *, refused: bool = False) -> str:
    """Return the fault of an answer, or ""; ``refused``: it must not succeed."""
    if response.status_code >= 500:
        return f"{response.status_code}"
    if not response.headers.get("X-Request-ID"):
        return "no request id"
    if response.status_code < 400:
        return f"{response.status_code}, not refused" if refused else ""
    if response.headers["Content-Type"] != "application/problem+json":
        return f"{response.status_code} as {response.headers['Content-Type']}"
    if not response.content:
        return ""
    problem = json.loads(response.content)
    lacks = {"type", "title", "status", "detail", "code", "request_id"} - problem.keys()
    return f"lacks {lacks}" if lacks or problem["status"] != response.status_code else ""


def test_no_path_segment_breaks_anything(
    ids: dict[str, Any], client: Api, next_part: Parts[str]
) -> None:
    faults = []
    for route, resource in objects.routes():
        for name in parameters(route):
            for method in resource.operations:
                for segment in next_part(SEGMENTS):
                    path = url_of(route, ids, **{name: segment})
                    fault = fault_of(client.send(method, path))
                    faults += [f"{method} {path[:80]}: {fault}"] if fault else []
    assert faults == []


def test_no_query_breaks_anything(ids: dict[str, Any], client: Api, next_part: Parts[str]) -> None:
    faults = []
    for route, resource in objects.routes():
        for method in resource.operations:
            for query in next_part(QUERIES):
                fault = fault_of(client.send(method, f"{url_of(route, ids)}?{query}"))
                faults += [f"{method} {route}?{query[:40]}: {fault}"] if fault else []
    assert faults == []


def test_an_unknown_parameter_is_refused_everywhere(ids: dict[str, Any], client: Api) -> None:
    faults = []
    for route, resource in objects.routes():
        for method in resource.operations:
            answer = client.send(method, f"{url_of(route, ids)}?unknown=1")
            faults += (
                [f"{method} {route}: {answer.status_code}"]
                if (answer.status_code, answer.json().get("code")) != (400, "invalid_parameter")
                else []
            )
    assert faults == []


def test_no_malformed_body_is_accepted(
    ids: dict[str, Any], client: Api, next_part: Parts[Any]
) -> None:
    faults = []
    for route, resource in objects.routes():
        for method, declared in resource.operations.items():
            if declared.body is None:
                continue
            for body in next_part(BODIES):
                fault = fault_of(client.send(method, url_of(route, ids), body), refused=True)
                faults += [f"{method} {route} {body[:40]!r}: {fault}"] if fault else []
            for content_type in next_part(TYPES):
                answer = client.send(method, url_of(route, ids), b'{"reason": "x"}', content_type)
                fault = fault_of(answer, refused=content_type != "application/json; charset=utf-16")
                faults += [f"{method} {route} as {content_type}: {fault}"] if fault else []
    assert faults == []


def test_no_header_breaks_anything(
    ids: dict[str, Any], client: Api, next_part: Parts[dict[str, str]]
) -> None:
    faults = []
    for route, resource in objects.routes():
        for method in resource.operations:
            for headers in next_part(HEADERS):
                fault = fault_of(
                    client.client.generic(
                        method, url_of(route, ids), b"{}", "application/json", headers=headers
                    )
                )
                faults += [f"{method} {route} {str(headers)[:60]}: {fault}"] if fault else []
    assert faults == []


def test_an_unknown_method_is_a_405_that_names_the_allowed_ones(
    ids: dict[str, Any], client: Api
) -> None:
    faults = []
    for route, resource in objects.routes():
        allowed_methods = {*resource.operations} | (
            {"HEAD"} if "GET" in resource.operations else set()
        )
        for method in METHODS:
            answer = client.client.generic(method, url_of(route, ids))
            if method in allowed_methods:
                faults += [f"{method} {route}"] if answer.status_code == 405 else []
            elif method != "get":
                allowed = set(answer.headers.get("Allow", "").split(", "))
                fault = fault_of(answer, refused=True) or (
                    ""
                    if (answer.status_code, allowed) == (405, allowed_methods)
                    else f"{answer.status_code}, allows {allowed}"
                )
                faults += [f"{method} {route}: {fault}"] if fault else []
    assert faults == []


def test_a_trailing_slash_is_a_404(ids: dict[str, Any], client: Api) -> None:
    faults = {
        route: client.client.get(url_of(route, ids) + "/").status_code
        for route, _ in objects.routes()
    }
    assert set(faults.values()) == {404}, faults


def test_an_unknown_path_is_a_problem(client: Api) -> None:
    paths = [
        "/nothing",
        "/cycles//x",
        "/api",
        "/api/",
        "/%00",
        "/%FF",
        "/.env",
        "/static/nothing.css",
        "/" + "a" * 9000,
    ]
    for method, path in product(METHODS[:-1], paths):
        answer = client.client.generic(method, path)
        assert fault_of(answer, refused=True) == ""
        assert answer.status_code == 404


def test_a_caller_without_a_token_gets_a_401_whatever_they_send(
    ids: dict[str, Any],
) -> None:
    anonymous, faults = api(), []
    for route, resource in objects.routes():
        for method in resource.operations:
            for body, query in ((b"", ""), (b"\xff not json", "?x=1")):
                answer = anonymous.send(method, url_of(route, ids) + query, body)
                expected = {401} if resource.permission_classes else {200, 400}
                faults += (
                    [f"{method} {route}: {answer.status_code}"]
                    if answer.status_code not in expected
                    else []
                )
    assert faults == []


def test_a_head_is_a_get_without_its_body(ids: dict[str, Any], client: Api) -> None:
    for route, resource in objects.routes():
        if "GET" in resource.operations:
            get, head = (
                client.send("GET", url_of(route, ids)),
                client.client.head(url_of(route, ids)),
            )
            assert (head.status_code, head.headers["Content-Type"]) == (
                get.status_code,
                get.headers["Content-Type"],
            ), route
