"""The `http` transformer meets the same receivers as a delivery does, under the same rules."""

import gzip
import socket
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from orbit.models import Transformation
from orbit.pipeline import registry
from orbit.pipeline.contract import Context, Payload, TransformError
from tests.support.pipeline import configure_endpoints, configure_profiles, run_cycle, start_cycle
from tests.support.receiver import OK, Answer, Receiver, close, dripping, http, silent, then

LOCAL = override_settings(ORBIT_DISPATCH_ALLOWED_HOSTS=["127.0.0.1"])


def transform(url: str, *, timeout: float = 2) -> Payload:
    context = Context("t-1", {"url": url}, timeout, "c-1", "eu", 1)
    with LOCAL:
        return registry.transformer("http").run(Payload(b"in", "text/plain"), context)


def refusal(url: str, *, timeout: float = 2) -> TransformError:
    with pytest.raises(TransformError) as exc_info:
        transform(url, timeout=timeout)
    return exc_info.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    with (
        Receiver() as target,
        Receiver(http(f"{status} Moved", b"", [f"Location: {target.url}"])) as receiver,
    ):
        error = refusal(receiver.url)
        assert target.connections == 0
    assert (error.retry, str(status) in error.detail) == (True, True)


@pytest.mark.parametrize(
    "answer",
    [
        dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"z"),
        then(b"HTTP/1.1 102 Processing\r\n\r\n", silent),
        silent,
    ],
    ids=["head", "body", "interim", "silence"],
)
def test_a_receiver_that_drips_or_is_silent_holds_a_tier_no_longer_than_its_time_out(
    answer: Answer,
) -> None:
    with Receiver(answer) as receiver:
        error = refusal(receiver.url, timeout=0.5)
    assert error.retry is True
    assert "timeout" in error.detail


@pytest.mark.parametrize(
    "answer",
    [
        then(b"HTTP/1.1 200 OK\r\nContent-Type: text/pl", close),
        then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", close),
        b"HTTP/1.1 101 Switching\r\n\r\n" + OK,
        b"SSH-2.0\r\n",
        close,
    ],
    ids=["cut head", "cut chunk", "switching", "no HTTP", "closed"],
)
def test_half_an_answer_is_never_an_output(answer: Answer) -> None:
    with Receiver(answer) as receiver:
        assert refusal(receiver.url).retry is True


def test_early_hints_before_an_output_are_read_past() -> None:
    with Receiver(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK) as receiver:
        assert transform(receiver.url).body == b"ok"


def test_a_bomb_is_passed_on_as_it_came_and_an_endless_answer_is_refused_without_much_memory() -> (
    None
):
    bomb = gzip.compress(b"\0" * 50_000_000)
    with Receiver(
        http("200 OK", bomb, ["Content-Encoding: gzip", "Content-Type: text/plain"])
    ) as receiver:
        tracemalloc.start()
        assert transform(receiver.url).body == bomb
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 3_000_000
    with Receiver(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 65536, every=0)) as receiver:
        tracemalloc.start()
        assert "longer" in refusal(receiver.url, timeout=20).detail
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 64_000_000


@pytest.mark.parametrize("answers", [["10.0.0.1"], ["169.254.169.254"], ["::ffff:10.0.0.1"]])
def test_a_name_that_resolves_elsewhere_at_run_time_fails_for_good(
    monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *arguments, **options: [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in answers
        ],
    )
    error = refusal("https://moved.example/")
    assert error.retry is False
    assert "moved.example" in error.detail


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    "hostile",
    [dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), b"SSH-2.0\r\n"],
    ids=["drips", "no HTTP"],
)
def test_a_tier_that_meets_such_a_receiver_fails_alone_and_the_others_are_delivered(
    settings: Any, hostile: bytes | Callable[[socket.socket], None]
) -> None:
    with Receiver(hostile) as hostile_receiver, Receiver() as receiver:
        configure_endpoints(settings, default_endpoint=receiver.url)
        configure_profiles(
            {
                "2": {
                    "transformer": "http",
                    "options": {"url": hostile_receiver.url},
                    "timeout": 1,
                    "max_attempts": 1,
                }
            }
        )
        assert run_cycle(start_cycle()).status == "partial_success"
        assert len(receiver.requests) == 2
    assert list(Transformation.objects.order_by("tier").values_list("tier", "status")) == [
        (1, "success"),
        (2, "failed"),
        (3, "success"),
    ]
