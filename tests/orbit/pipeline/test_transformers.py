import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from orbit.pipeline import registry
from orbit.pipeline.contract import MAX_OUTPUT, Context, Payload, TransformError
from tests.support.receiver import Receiver, close, dripping, http, then


@pytest.fixture(autouse=True)
def local() -> Iterator[None]:
    with override_settings(ORBIT_DISPATCH_ALLOWED_HOSTS=["127.0.0.1"]):
        yield


def run(
    name: str,
    body: bytes = b"hello",
    kind: str = "text/plain",
    *,
    timeout: float = 2,
    **options: Any,
) -> Payload:
    transformer = registry.transformer(name)
    assert transformer.problems(options) == []
    return transformer.run(Payload(body, kind), Context("t-1", options, timeout, "c-1", "eu", 2))


def problems(name: str, **options: Any) -> list[tuple[str, str]]:
    return [
        (problem["pointer"], problem["detail"])
        for problem in registry.transformer(name).problems(options)
    ]


def failure(name: str, body: bytes = b"hello", **options: Any) -> TransformError:
    with pytest.raises(TransformError) as exc_info:
        run(name, body, **options)
    return exc_info.value


def test_passthrough_returns_the_same_bytes_and_type() -> None:
    assert run("passthrough", b"\x00\xff", "image/png") == Payload(b"\x00\xff", "image/png")
    assert problems("passthrough", extra=1)


def test_the_passthrough_processor_changes_nothing() -> None:
    assert registry.processor("passthrough").run(Payload(b"\x00\xff", "image/png")) == Payload(
        b"\x00\xff", "image/png"
    )


def test_a_template_is_filled_in_with_the_input_and_its_context() -> None:
    output = run(
        "template",
        "gr\u00fc\u00dfe $tier".encode(),
        template="$namespace/$cycle_id/$tier: ${payload}! $$5 {x} %s",
    )
    assert output == Payload(
        "eu/c-1/2: gr\u00fc\u00dfe $tier! $5 {x} %s".encode(), "text/plain; charset=utf-8"
    )


def test_a_template_may_name_its_content_type() -> None:
    assert (
        run(
            "template", template="<p>$payload</p>", content_type="text/html; charset=utf-8"
        ).content_type
        == "text/html; charset=utf-8"
    )


def test_input_that_is_no_text_fails_for_good() -> None:
    assert failure("template", b"\xff", template="$payload").retry is False


def test_a_template_whose_output_is_too_large_fails_before_it_is_rendered() -> None:
    assert failure("template", b"x" * 1_000_000, template="$payload" * 20).retry is False
    assert len(run("template", b"x" * 1_000_000, template="$payload" * 15).body) == 15_000_000


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({}, ""),
        ({"template": 1}, "/template"),
        ({"template": "$unknown"}, "/template"),
        ({"template": "${payload"}, "/template"),
        ({"template": "5 $ left"}, "/template"),
        ({"template": "x", "content_type": "text"}, "/content_type"),
        ({"template": "x", "content_type": "text/plain\r\nX: y"}, "/content_type"),
        ({"template": "x", "engine": "jinja"}, "/engine"),
        ({"template": "x" * 300_000}, "/template"),
    ],
)
def test_wrong_template_options_are_found_before_a_cycle_runs(
    options: dict[str, Any], pointer: str
) -> None:
    assert [place for place, _ in problems("template", **options)] == [pointer]


def test_a_template_reaches_no_attribute_of_its_input() -> None:
    assert (
        run("template", template="${tier}.__class__ {tier.__class__}").body
        == b"2.__class__ {tier.__class__}"
    )


def test_http_posts_the_payload_under_the_transformation_s_key_and_takes_the_answer() -> None:
    with Receiver(http("201 Created", b"\x00made", ["Content-Type: image/png"])) as receiver:
        output = run(
            "http", b"\xffin", "application/x-in", url=receiver.url, headers={"X-Style": "calm"}
        )
        (received,) = receiver.requests
    assert output == Payload(b"\x00made", "image/png")
    assert received.body == b"\xffin"
    assert {
        name: received.headers[name] for name in ("content-type", "idempotency-key", "x-style")
    } == {"content-type": "application/x-in", "idempotency-key": "t-1", "x-style": "calm"}
    assert "authorization" not in received.headers


def test_an_answer_without_a_type_is_opaque_bytes() -> None:
    with Receiver(http("200 OK", b"x")) as receiver:
        assert run("http", url=receiver.url).content_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("status", "retry"),
    [("500 No", True), ("404 No", True), ("302 Found", True), ("410 Gone", False)],
)
def test_an_answer_other_than_2xx_is_a_failure(status: str, retry: bool) -> None:
    with Receiver(http(status)) as receiver:
        error = failure("http", url=receiver.url)
    assert (error.retry, status[:3] in error.detail) == (retry, True)


def test_a_body_cut_off_is_no_output() -> None:
    with Receiver(then(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", close)) as receiver:
        assert failure("http", url=receiver.url).retry is True


def test_a_body_over_the_limit_is_no_output_and_one_at_the_limit_is() -> None:
    with Receiver(
        http("200 OK", b"x" * (MAX_OUTPUT + 1)), http("200 OK", b"x" * MAX_OUTPUT)
    ) as receiver:
        assert "longer" in failure("http", url=receiver.url, timeout=20).detail
        assert len(run("http", url=receiver.url, timeout=20).body) == MAX_OUTPUT


def test_a_dripping_answer_ends_with_the_attempt_s_time_out() -> None:
    with Receiver(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"z")) as receiver:
        error = failure("http", url=receiver.url, timeout=0.5)
    assert error.retry is True
    assert "timeout" in error.detail


def test_an_address_that_is_refused_at_run_time_fails_for_good() -> None:
    with Receiver() as receiver, override_settings(ORBIT_DISPATCH_ALLOWED_HOSTS=[]):
        error = failure("http", url=f"https://localhost:{receiver.port}/")
        assert receiver.connections == 0
    assert error.retry is False
    assert "ORBIT_DISPATCH_ALLOWED_HOSTS" in error.detail


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({}, ""),
        ({"url": "http://10.0.0.1/"}, "/url"),
        ({"url": "http://example.com/"}, "/url"),
        ({"url": "https://u:p@example.com/"}, "/url"),
        ({"url": "https://example.com/", "token": "t"}, "/token"),
        ({"url": "https://example.com/", "headers": {"X": "a\r\nb"}}, "/headers/X"),
        (
            {"url": "https://example.com/", "headers": {"Authorization": "x"}},
            "/headers/Authorization",
        ),
        (
            {"url": "https://example.com/", "headers": {"Idempotency-Key": "x"}},
            "/headers/Idempotency-Key",
        ),
        ({"url": "https://example.com/", "method": "GET"}, "/method"),
    ],
)
def test_wrong_http_options_are_found_before_a_cycle_runs(
    options: dict[str, Any], pointer: str
) -> None:
    with override_settings(ORBIT_DISPATCH_ALLOWED_HOSTS=[]):
        faults = problems("http", **options)
    assert [place for place, _ in faults] == [pointer]
    assert "u:p" not in json.dumps(faults)
