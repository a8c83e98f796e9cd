"""What no fuzzer thinks of, sent to every address that there is: never a 500, and what is refused is a problem with a code and a request id.

What all addresses read in one place (segments, queries, bodies, headers) goes to each by turns here, so that every one of it meets a part of the
addresses and every address a part of it; ``make fuzz`` sends all to all.
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
ByTurns = Callable[[list[Odd]], Iterator[Odd]]
#: Which part of them each address gets in turn.
PART = 3
LONG_RUN = 50

SEGMENTS = [
    "%00", "%FF", "%ED%A0%80", "%F0%9F%92%A9", "%2e%2e", "..", ".", "a%0Ab", "%E2%80%AE", "a" * 5000, "9" * 40, "2147483648", "9223372036854775808", "-1", "0",
    "%25", "%25%30%30", "%C0%AF", "'", '"', ";", "%3C%3E", "%5C", "{}", "null", "%20", "+", "*", "a%2Fb", "%7Bid%7D", objects.MISSING_ID.replace("-", ""),
    objects.MISSING_ID.upper().replace("0", "A"),
]  # fmt: skip
QUERIES = [
    "x=1", "%00=1", "=", "&&&", "%FF=%FF", "limit=0", "limit=" + "9" * 400, "limit=1&limit=2", "limit=%D9%A1", "limit=1e3", "cursor=", "cursor=%00",
    "cursor=cD0x", "cursor=%3E1:x", "cursor=" + "A" * 5000, "namespace=%00", "namespace=%ED%A0%80", "namespace=%27%20OR%201=1--",
    "from=9999-12-31T23:59:59-23:59", "created_from=0001-01-01T00:00:00%2B23:59", "created_to=9999-12-31T23:59:59.999999-23:59", "from=-1", "to=NaN",
    "offset=-1", "offset=10001", "status=%00", "id=1", "namespace[]=a", "namespace__in=a", "password__startswith=a", "format=json", "a" * 5000 + "=1",
    "&".join(f"p{i}=1" for i in range(900)), "&".join(f"p{i}=1" for i in range(2000)),
]  # fmt: skip
BODIES = [
    b"{", b"nonsense", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"reason": "\\u0000"}', b'{"reason": "\\ud800"}', b'{"reason": "a", "reason": "b"}',
    b'{"reason": NaN}', b'{"reason": 1e999}', b'{"reason":' + b"[" * 64 + b"]" * 64 + b"}", b"[" * 100_000, b'{"reason":' + b"9" * 5000 + b"}",
    b'{"\\u0000": 1}', b"null", b"[]", b'"x"', b"7", b"true", b'{"__proto__": 1, "id": 7, "constructor": {}}', b'{"reason": {"$ne": 1}, "x": 1}', b"\x00",
    b"{}{}", b"{}x", b"/* */ {}", b"{'reason': 'a'}", b'{"reason": "' + b"x" * (1024 * 1024) + b'"}',
]  # fmt: skip
TYPES = [
    "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense",
    "application/json; charset=utf-16", "",
]  # fmt: skip
HEADERS = [
    {"Accept": "text/html"}, {"Accept": "application/xml;q=1"}, {"Accept": ";;;,"}, {"Accept": "*/*;q=x"}, {"If-Match": "nonsense"},
    {"If-Match": '"' * 5000}, {"If-None-Match": "W/"}, {"If-Modified-Since": "yesterday"}, {"Range": "bytes=0-"}, {"Idempotency-Key": ""},
    {"Idempotency-Key": "a" * 256}, {"Idempotency-Key": "\x00"}, {"X-Orbit-Reason": "\xff\x00"}, {"X-HTTP-Method-Override": "DELETE"},
    {"Content-Encoding": "gzip"}, {"Transfer-Encoding": "chunked"}, {"Content-Length": "x"}, {"Content-Length": "-1"}, {"Content-Length": "9" * 30},
    {"Cookie": "sessionid=\x00; csrftoken=x"}, {"X-Forwarded-For": "\x00, x"}, {"Host": "evil.example"}, {"Expect": "100-continue"},
    {"Origin": "https://evil.example"},
]  # fmt: skip
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
def known(settings: Any) -> dict[str, Any]:
    return objects.create_objects(settings)


@pytest.fixture
def client() -> Api:
    return session(create_user("ann", "Administrator"))


@pytest.fixture
def some(request: pytest.FixtureRequest) -> ByTurns[Any]:
    """Every third of what is handed in, at each call beginning with the next one; all of it in a long run."""
    part = 1 if int(request.config.getoption("--examples")) >= LONG_RUN else PART
    calls = count()

    def by_turns(odd: list[Any]) -> Iterator[Any]:
        return iter(odd[next(calls) % part :: part])

    return by_turns


def wrong(response: Any, *, refused: bool = False) -> str:
    """Return what is wrong with an answer, nothing where it is as it must be; ``refused``: it must be no success."""
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


def test_no_part_of_an_address_breaks_anything(
    known: dict[str, Any], client: Api, some: ByTurns[str]
) -> None:
    found = []
    for route, resource in objects.routes():
        for name in parameters(route):
            for method in resource.operations:
                for segment in some(SEGMENTS):
                    path = url_of(route, known, **{name: segment})
                    fault = wrong(client.send(method, path))
                    found += [f"{method} {path[:80]}: {fault}"] if fault else []
    assert found == []


def test_no_query_breaks_anything(known: dict[str, Any], client: Api, some: ByTurns[str]) -> None:
    found = []
    for route, resource in objects.routes():
        for method in resource.operations:
            for query in some(QUERIES):
                fault = wrong(client.send(method, f"{url_of(route, known)}?{query}"))
                found += [f"{method} {route}?{query[:40]}: {fault}"] if fault else []
    assert found == []


def test_a_parameter_that_nobody_knows_is_refused_everywhere(
    known: dict[str, Any], client: Api
) -> None:
    found = []
    for route, resource in objects.routes():
        for method in resource.operations:
            answer = client.send(method, f"{url_of(route, known)}?nobody_knows=1")
            found += (
                [f"{method} {route}: {answer.status_code}"]
                if (answer.status_code, answer.json().get("code")) != (400, "invalid_parameter")
                else []
            )
    assert found == []


def test_no_body_that_cant_be_is_taken(
    known: dict[str, Any], client: Api, some: ByTurns[Any]
) -> None:
    found = []
    for route, resource in objects.routes():
        for method, declared in resource.operations.items():
            if declared.body is None:
                continue
            for body in some(BODIES):
                fault = wrong(client.send(method, url_of(route, known), body), refused=True)
                found += [f"{method} {route} {body[:40]!r}: {fault}"] if fault else []
            for content_type in some(TYPES):
                answer = client.send(method, url_of(route, known), b'{"reason": "x"}', content_type)
                fault = wrong(answer, refused=content_type != "application/json; charset=utf-16")
                found += [f"{method} {route} as {content_type}: {fault}"] if fault else []
    assert found == []


def test_no_header_breaks_anything(
    known: dict[str, Any], client: Api, some: ByTurns[dict[str, str]]
) -> None:
    found = []
    for route, resource in objects.routes():
        for method in resource.operations:
            for headers in some(HEADERS):
                fault = wrong(
                    client.client.generic(
                        method, url_of(route, known), b"{}", "application/json", headers=headers
                    )
                )
                found += [f"{method} {route} {str(headers)[:60]}: {fault}"] if fault else []
    assert found == []


def test_a_method_that_an_address_doesnt_have_is_a_405_that_names_those_it_has(
    known: dict[str, Any], client: Api
) -> None:
    found = []
    for route, resource in objects.routes():
        has = {*resource.operations} | ({"HEAD"} if "GET" in resource.operations else set())
        for method in METHODS:
            answer = client.client.generic(method, url_of(route, known))
            if method in has:
                found += [f"{method} {route}"] if answer.status_code == 405 else []
            elif method != "get":
                allowed = set(answer.headers.get("Allow", "").split(", "))
                fault = wrong(answer, refused=True) or (
                    ""
                    if (answer.status_code, allowed) == (405, has)
                    else f"{answer.status_code}, allows {allowed}"
                )
                found += [f"{method} {route}: {fault}"] if fault else []
    assert found == []


def test_a_slash_behind_an_address_is_another_address(known: dict[str, Any], client: Api) -> None:
    found = {
        route: client.client.get(url_of(route, known) + "/").status_code
        for route, _ in objects.routes()
    }
    assert set(found.values()) == {404}, found


def test_an_address_that_nobody_has_is_a_problem(client: Api) -> None:
    nowhere = [
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
    for method, path in product(METHODS[:-1], nowhere):
        answer = client.client.generic(method, path)
        assert wrong(answer, refused=True) == ""
        assert answer.status_code == 404


def test_a_stranger_gets_a_401_wherever_a_token_is_needed_whatever_he_sends(
    known: dict[str, Any],
) -> None:
    stranger, found = api(), []
    for route, resource in objects.routes():
        for method in resource.operations:
            for body, query in ((b"", ""), (b"\xff not json", "?x=1")):
                answer = stranger.send(method, url_of(route, known) + query, body)
                wanted = {401} if resource.permission_classes else {200, 400}
                found += (
                    [f"{method} {route}: {answer.status_code}"]
                    if answer.status_code not in wanted
                    else []
                )
    assert found == []


def test_a_head_is_a_get_without_its_body(known: dict[str, Any], client: Api) -> None:
    for route, resource in objects.routes():
        if "GET" in resource.operations:
            get, head = (
                client.send("GET", url_of(route, known)),
                client.client.head(url_of(route, known)),
            )
            assert (head.status_code, head.headers["Content-Type"]) == (
                get.status_code,
                get.headers["Content-Type"],
            ), route
