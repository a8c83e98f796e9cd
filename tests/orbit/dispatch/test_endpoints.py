import base64
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Delivery, Endpoint, EndpointsInvalid
from orbit.outbound import client, signing
from tests.support.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PLAIN = {
    "key": "aurora",
    "url": "https://aurora.example.com/hook?key=hush",
    "method": "POST",
    "token": "hush",
}
FULL = {
    **PLAIN,
    "signing_secret": SECRET,
    "headers": {"X-Team": "a b"},
    "connect_timeout": 1.5,
    "read_timeout": 2,
    "total_timeout": 30,
    "max_concurrency": 4,
    "rate_per_second": 0.5,
    "permanent_statuses": [400, 410],
    "inquiry_url": "https://aurora.example.com/seen/{id}",
    "on_unknown": "hold",
    "alerts": True,
    "witness": True,
}


def errors(
    *entries: Any, allowed: tuple[str, ...] = (), resolve: bool = False, text: str | None = None
) -> list[dict[str, str]]:
    with pytest.raises(EndpointsInvalid) as exc_info:
        endpoints.parse(json.dumps(entries) if text is None else text, allowed, resolve=resolve)
    message = exc_info.value.detail + json.dumps(exc_info.value.errors)
    assert "hush" not in message
    return exc_info.value.errors


def test_an_endpoint_of_four_fields_has_the_documented_defaults() -> None:
    configured, warnings = endpoints.parse(json.dumps([PLAIN]), [])
    endpoint = configured["aurora"]
    assert (endpoint.connect_timeout, endpoint.read_timeout, endpoint.total_timeout) == (5, 10, 20)
    assert (endpoint.permanent_statuses, endpoint.on_unknown, endpoint.method, endpoint.host) == (
        (410,),
        "resend",
        "POST",
        "aurora.example.com",
    )
    assert (endpoint.max_concurrency, endpoint.rate_per_second, endpoint.inquiry_url, warnings) == (
        None,
        None,
        None,
        [],
    )


def test_a_total_time_out_below_the_defaults_of_the_others_is_valid() -> None:
    assert (
        endpoints.parse(json.dumps([{**PLAIN, "total_timeout": 2}]), [])[0]["aurora"].total_timeout
        == 2
    )


def test_every_field_is_carried() -> None:
    endpoint = endpoints.parse(json.dumps([FULL]), [])[0]["aurora"]
    assert {name: getattr(endpoint, name) for name in FULL} == {
        **FULL,
        "permanent_statuses": (400, 410),
    }


@pytest.mark.parametrize("text", ["[]", "", "  \n"])
def test_an_empty_list_of_endpoints_is_valid(text: str) -> None:
    assert endpoints.parse(text, []) == ({}, [])


def test_the_text_of_an_endpoint_shows_no_secret() -> None:
    endpoint = endpoints.parse(json.dumps([{**FULL, "headers": {"X-Key": "hush"}}]), [])[0][
        "aurora"
    ]
    assert "hush" not in repr(endpoint)
    assert SECRET not in repr(endpoint)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"key": "a b"}, "/0/key"),
        ({"key": ""}, "/0/key"),
        ({"key": None}, "/0/key"),
        ({"url": "ftp://x/hush"}, "/0/url"),
        ({"url": "https://me:hush@x/"}, "/0/url"),
        ({"url": "https://x/#hush"}, "/0/url"),
        ({"url": "http://aurora.example.com/"}, "/0/url"),
        ({"method": "GET"}, "/0/method"),
        ({"method": "post"}, "/0/method"),
        ({"token": ""}, "/0/token"),
        ({"token": "hush\r\nX: y"}, "/0/token"),
        ({"token": "hush "}, "/0/token"),
        ({"token": "hush\n"}, "/0/token"),
        ({"token": "hush\u2603"}, "/0/token"),
        ({"token": "hush\x00"}, "/0/token"),
        ({"token": "x" * 4097}, "/0/token"),
        ({"token": 1}, "/0/token"),
        ({"signing_secret": "hush"}, "/0/signing_secret"),
        ({"signing_secret": "whsec_aHVzaA=="}, "/0/signing_secret"),
        ({"connect_timeout": 0}, "/0/connect_timeout"),
        ({"read_timeout": -1}, "/0/read_timeout"),
        ({"total_timeout": 121}, "/0/total_timeout"),
        ({"total_timeout": "20"}, "/0/total_timeout"),
        ({"max_concurrency": 0}, "/0/max_concurrency"),
        ({"rate_per_second": 0}, "/0/rate_per_second"),
        ({"permanent_statuses": [200]}, "/0/permanent_statuses/0"),
        ({"permanent_statuses": [410, 410]}, "/0/permanent_statuses"),
        ({"inquiry_url": "https://x.example/hush"}, "/0/inquiry_url"),
        ({"inquiry_url": "https://10.0.0.1/{id}"}, "/0/inquiry_url"),
        ({"on_unknown": "drop"}, "/0/on_unknown"),
        ({"ca_bundle": "/nowhere.pem"}, "/0/ca_bundle"),
        ({"ca_bundle": __file__}, "/0/ca_bundle"),
        ({"alerts": "yes"}, "/0/alerts"),
        ({"tokn": "hush"}, "/0/tokn"),
        ({"headers": {"X-A": "hush\nb"}}, "/0/headers/X-A"),
        ({"headers": {"X A": "hush"}}, "/0/headers/X A"),
        ({"headers": {"X-A": " hush"}}, "/0/headers/X-A"),
        ({"headers": {"X-A": ""}}, "/0/headers/X-A"),
        ({"headers": {"X-A": "x" * 4097}}, "/0/headers/X-A"),
    ],
)
def test_each_wrong_field_is_an_error_at_its_place(change: dict[str, Any], pointer: str) -> None:
    assert pointer in {error["pointer"] for error in errors({**PLAIN, **change})}


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "HOST",
        "content-length",
        "Content-Type",
        "Transfer-Encoding",
        "Connection",
        "TE",
        "Upgrade",
        "Cookie",
        "Proxy-Authorization",
        "Expect",
        "Idempotency-Key",
        "webhook-id",
        "X-Orbit-Cycle",
        "Accept-Encoding",
        "User-Agent",
    ],
)
def test_headers_that_orbit_sets_are_reserved(name: str) -> None:
    assert errors({**PLAIN, "headers": {name: "x"}}) == [
        {
            "pointer": f"/0/headers/{name}",
            "detail": "Endpoint `aurora`: This header is set by Orbit.",
        }
    ]


def test_the_same_header_in_two_cases_is_an_error() -> None:
    assert [
        error["pointer"] for error in errors({**PLAIN, "headers": {"X-A": "1", "x-a": "2"}})
    ] == ["/0/headers/x-a"]


@pytest.mark.parametrize("missing", ["key", "url", "token"])
def test_a_missing_field_is_named(missing: str) -> None:
    assert errors({name: value for name, value in PLAIN.items() if name != missing}) == [
        {"pointer": "/0", "detail": f"Lacks `{missing}`."}
    ]


def test_every_error_is_reported_at_once() -> None:
    problems = errors(
        {**PLAIN, "headers": {"Host": "x"}, "inquiry_url": "https://x.example/"},
        {**PLAIN, "url": "https://127.0.0.1/"},
    )
    assert [error["pointer"] for error in problems] == [
        "/0/headers/Host",
        "/0/inquiry_url",
        "/1/url",
        "/1/key",
    ]


@pytest.mark.parametrize(
    "text", ["{", "[1,]", "{}", "[[]]", '[{"key":"a","key":"b"}]', "null", "\ud800", '"\\ud800"']
)
def test_a_text_that_is_no_list_of_endpoints_is_refused(text: str) -> None:
    assert errors(text=text)


def test_a_text_of_two_megabytes_is_refused() -> None:
    assert "longer" in errors(text="[" + " " * 2_000_000 + "]")[0]["detail"]


def test_an_address_that_the_rules_refuse_names_endpoint_address_and_setting() -> None:
    (error,) = errors({**PLAIN, "url": "http://127.0.0.1:9000/hush"})
    assert all(
        word in error["detail"]
        for word in ("`aurora`", "127.0.0.1", "ORBIT_DISPATCH_ALLOWED_HOSTS")
    )
    assert endpoints.parse(json.dumps([{**PLAIN, "url": "http://127.0.0.1:9000/"}]), ["127.0.0.1"])[
        0
    ]


def test_names_are_resolved_and_checked_only_on_request() -> None:
    entry = {**PLAIN, "url": "https://localhost/"}
    assert endpoints.parse(json.dumps([entry]), [])[0]
    (error,) = errors(entry, resolve=True)
    assert "localhost (" in error["detail"]


def test_a_name_that_does_not_resolve_is_a_warning() -> None:
    configured, warnings = endpoints.parse(
        json.dumps([{**PLAIN, "url": "https://nothing.invalid/"}]), [], resolve=True
    )
    assert "aurora" in configured
    assert len(warnings) == 1
    assert "nothing.invalid" in warnings[0]


@pytest.mark.parametrize("entries", [[PLAIN], []])
def test_a_mistyped_allow_list_is_an_error_even_where_nothing_is_configured(
    entries: list[Any],
) -> None:
    (error,) = errors(*entries, allowed=("http://localhost",))
    assert "ORBIT_DISPATCH_ALLOWED_HOSTS holds 'http://localhost'" in error["detail"]


def test_a_resolver_that_is_silent_does_not_hold_the_start_for_each_of_many_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: quiet.wait(60) and [])
    monkeypatch.setattr(endpoints, "LOOK_UP_SECONDS", 0.5)
    entries = [
        {**PLAIN, "key": f"e{number}", "url": f"https://host-{number}.example/"}
        for number in range(100)
    ]
    started = time.monotonic()
    configured, warnings = endpoints.parse(json.dumps(entries), [], resolve=True)
    # One after another, the names would take 100 times the time of one.
    assert time.monotonic() - started < 100 * endpoints.LOOK_UP_SECONDS / 2
    assert (len(configured), len(warnings)) == (100, 100)
    quiet.set()


def test_a_name_of_many_endpoints_is_resolved_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = []
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *arguments, **options: (
            hosts.append(host) or [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", port))]
        ),
    )
    problems = errors(
        *(
            {
                **PLAIN,
                "key": f"e{number}",
                "url": "https://one.example/x",
                "inquiry_url": "https://one.example/{id}",
            }
            for number in range(9)
        ),
        resolve=True,
    )
    assert hosts == ["one.example"]
    assert [error["pointer"] for error in problems] == [
        f"/{number}/{name}" for number in range(9) for name in ("url", "inquiry_url")
    ]
    assert all("10.1.2.3" in error["detail"] for error in problems)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"read_timeout": 30}, "/0/read_timeout"),
        ({"total_timeout": 3, "connect_timeout": 4}, "/0/connect_timeout"),
        ({"total_timeout": -0.0}, "/0/total_timeout"),
        ({"total_timeout": True}, "/0/total_timeout"),
        ({"total_timeout": None}, "/0/total_timeout"),
        ({"inquiry_url": "https://{id}.example.com/"}, "/0/inquiry_url"),
        ({"inquiry_url": "ftp://x/{id}"}, "/0/inquiry_url"),
        ({"inquiry_url": ""}, "/0/inquiry_url"),
        ({"url": ""}, "/0/url"),
        ({"url": "https://x.example/hush\r\nX: y"}, "/0/url"),
        ({"url": "https://x.example/\u2603"}, "/0/url"),
        ({"url": "https://x.example/a b"}, "/0/url"),
        ({"url": ["hush"]}, "/0/url"),
        ({"token": ["hush"]}, "/0/token"),
        ({"token": {"hush": 1}}, "/0/token"),
        ({"method": "hush"}, "/0/method"),
        ({"on_unknown": "hush"}, "/0/on_unknown"),
        ({"alerts": "hush"}, "/0/alerts"),
        ({"ca_bundle": ["hush"]}, "/0/ca_bundle"),
        ({"signing_secret": None}, "/0/signing_secret"),
        ({"signing_secret": ["hush"]}, "/0/signing_secret"),
        ({"signing_secret": "hush " * 100}, "/0/signing_secret"),
        ({"permanent_statuses": ["hush"]}, "/0/permanent_statuses/0"),
        ({"permanent_statuses": [410.5]}, "/0/permanent_statuses/0"),
        ({"headers": ["hush"]}, "/0/headers"),
        ({"headers": {"X-A": ["hush"]}}, "/0/headers/X-A"),
        ({"headers": {"X-A": "hush\tb"}}, "/0/headers/X-A"),
        ({"headers": {"X-A": "hush\x7f"}}, "/0/headers/X-A"),
        ({"headers": {"X-A": "hush\x00"}}, "/0/headers/X-A"),
        ({"headers": {"X-A": "hush\r"}}, "/0/headers/X-A"),
        ({"headers": {"X-A": "hush\u00fc"}}, "/0/headers/X-A"),
        ({"headers": {"": "hush"}}, "/0/headers/"),
        ({"headers": {"X:A": "hush"}}, "/0/headers/X:A"),
        ({"rate_per_second": "hush"}, "/0/rate_per_second"),
        ({"max_concurrency": 1.5}, "/0/max_concurrency"),
    ],
)
def test_each_wrong_field_is_reported_without_its_value(
    change: dict[str, Any], pointer: str
) -> None:
    assert pointer in {error["pointer"] for error in errors({**PLAIN, **change})}


@pytest.mark.parametrize(
    "text",
    [
        '[{"key":"a","url":"https://x.example/hush","token":"hush",}]',
        '[{"token":"hush"',
        '[{"token":"hush","token":"hush"}]',
        '[{"token":"hush\n"}]',
        '[{"total_timeout":NaN,"token":"hush"}]',
        '[{"total_timeout":Infinity}]',
        '[{"total_timeout":1e400}]',
        '[{"token":"hush"}] hush',
        "{'token':'hush'}",
        '[{"token":"hush\\ud800"}]',
        '[{"token":"\\u0000hush"}]',
        "hush",
        '"hush"',
        '["hush"]',
        "[" * 100_000,
        '[{"token":"hush"}' * 2000,
    ],
)
def test_invalid_json_is_reported_without_its_text(text: str) -> None:
    assert errors(text=text)


def test_the_configured_ones_follow_the_settings() -> None:
    with override_settings(
        ORBIT_DISPATCH_ENDPOINTS=json.dumps([PLAIN]), ORBIT_DISPATCH_ALLOWED_HOSTS=[]
    ):
        assert list(endpoints.configured()) == ["aurora"]
        assert endpoints.configured() is endpoints.configured()
    with override_settings(ORBIT_DISPATCH_ENDPOINTS="[]", ORBIT_DISPATCH_ALLOWED_HOSTS=[]):
        assert list(endpoints.configured()) == []


@pytest.mark.parametrize("entry", [PLAIN, FULL])
def test_a_snapshot_restores_the_same_endpoint_in_the_same_bytes(entry: dict[str, Any]) -> None:
    endpoint = endpoints.parse(json.dumps([entry]), [])[0]["aurora"]
    document = endpoints.snapshot_document(endpoint)
    assert endpoints.from_snapshot(document) == endpoint
    assert endpoints.snapshot_document(endpoints.from_snapshot(document)) == document


def test_a_snapshot_of_another_release_is_read_and_nonsense_is_a_value_error() -> None:
    assert (
        endpoints.from_snapshot(
            b'{"key":"a","url":"https://x/","token":"t","later":1}'
        ).read_timeout
        == 10
    )
    for nonsense in (b"{}", b"[]", b"x", b"1", b"\xff", b"null"):
        with pytest.raises(ValueError):
            endpoints.from_snapshot(nonsense)


def test_a_request_carries_identity_context_and_configured_headers_to_a_real_receiver() -> None:
    body = b"\x00\xffopaque"
    with Receiver() as receiver:
        endpoint = Endpoint(
            "aurora",
            receiver.url,
            "hush",
            method="PUT",
            signing_secret=SECRET,
            headers={"X-Team": "a b"},
        )
        delivery = Delivery(
            "0198c9a2-0000-7000-8000-000000000001",
            "application/octet-stream",
            2,
            "z\u00fcrich\r\nX: y",
            "p1",
            "r1",
            "c1",
        )
        answer = client.send(
            endpoints.build_request(endpoint, delivery, body, now=1700000000.9),
            allowed=["127.0.0.1"],
        )
        (received,) = receiver.requests
    assert answer.status == 200
    assert received.body == body
    assert received.line.startswith("PUT /hook ")
    expected = {
        "authorization": "Bearer hush",
        "idempotency-key": delivery.delivery_id,
        "webhook-id": delivery.delivery_id,
        "content-type": "application/octet-stream",
        "x-orbit-attempt": "2",
        "x-orbit-namespace": "z%C3%BCrich%0D%0AX: y",
        "x-orbit-profile": "p1",
        "x-orbit-run-profile": "r1",
        "x-orbit-cycle": "c1",
        "x-team": "a b",
        "webhook-timestamp": "1700000000",
        "webhook-signature": signing.sign(
            SECRET, message_id=delivery.delivery_id, timestamp=1700000000, body=body
        ),
    }
    assert {name: received.headers.get(name) for name in expected} == expected


def test_context_that_does_not_exist_and_a_signature_without_a_secret_are_left_out() -> None:
    request = endpoints.build_request(
        Endpoint("aurora", "https://x.example/", "t"),
        Delivery("d", "text/plain", 1, namespace="eu"),
        b"",
    )
    assert {
        name for name in request.headers if name.lower().startswith(("x-orbit", "webhook"))
    } == {"X-Orbit-Attempt", "X-Orbit-Namespace", "webhook-id"}


def test_a_bundle_of_certificates_is_accepted(tmp_path: Path) -> None:
    bundle = tmp_path / "own.pem"
    bundle.write_bytes(Path(DEFAULT_CA_BUNDLE_PATH).read_bytes())
    endpoint = endpoints.parse(json.dumps([{**PLAIN, "ca_bundle": str(bundle)}]), [])[0]["aurora"]
    assert endpoints.build_request(endpoint, Delivery("d", "text/plain", 1), b"").ca_bundle == str(
        bundle
    )
