"""Interim answers (RFC 9110, section 15.2) are read past; only the final answer counts."""

import socket
import threading
from collections.abc import Callable

import pytest

from orbit.outbound import client, connections
from tests.support.receiver import OK, Receiver, close, dripping, http, reset, silent, then

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


def ask(
    url: str, *, method: str = "POST", read: float = 60, total: float = 60, body: bytes = b"hello"
) -> client.Response:
    request = client.Request(method, url, {}, body, 1, read, total, None)
    return client.send(request, allowed=["127.0.0.1"])


@pytest.mark.parametrize(
    "interim",
    [
        HINTS,
        PROCESSING * 3,
        CONTINUE,
        CONTINUE + PROCESSING + HINTS,
        b"HTTP/1.1 199 Odd\r\n\r\n",
        b"HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: 1\r\n\r\n",
        b"HTTP/1.1 102\r\n\r\n",
        b"HTTP/1.1 102 Processing\n\n",
        b"HTTP/1.0 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 999\r\nTransfer-Encoding: chunked\r\n\r\n",
        PROCESSING * connections.MOST_INTERIM,
        b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 60_000 + b"\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </a>\r\n" * 1000 + b"\r\n",
    ],
)
def test_what_comes_before_a_2xx_is_read_past_and_the_connection_is_used_again(
    interim: bytes,
) -> None:
    with Receiver(
        interim + http("200 OK", b"first"), interim + http("201 Created", b"second")
    ) as receiver:
        first, second = ask(receiver.url), ask(receiver.url)
        assert (first.status, first.body, first.error) == (200, b"first", "")
        assert (second.status, second.body) == (201, b"second")
        assert receiver.connections == 1


@pytest.mark.parametrize("status", ["500 No", "410 Gone", "302 Found", "429 Slow"])
def test_a_failure_after_an_interim_answer_is_that_failure(status: str) -> None:
    with Receiver(PROCESSING + http(status, b"why", ["Retry-After: 7"])) as receiver:
        answer = ask(receiver.url)
    assert (answer.status, answer.excerpt) == (int(status[:3]), b"why")
    assert answer.retry_after == "7"


@pytest.mark.parametrize(
    "pieces",
    [
        (PROCESSING[:1], PROCESSING[1:20], PROCESSING[20:] + OK),
        (HINTS, OK),
        (HINTS + b"HTTP/1.1 2", b"00 OK\r\nContent-Length: 2\r\n\r\no", b"k"),
    ],
)
def test_an_interim_answer_may_arrive_in_pieces(pieces: tuple[bytes, ...]) -> None:
    with Receiver(then(*pieces)) as receiver:
        assert (ask(receiver.url).body, ask(receiver.url).body) == (b"ok", b"ok")


@pytest.mark.parametrize("ending", [close, reset])
@pytest.mark.parametrize("start", [PROCESSING, HINTS[:20], PROCESSING + b"HTTP/1.1 200 OK\r\n"])
def test_a_connection_that_ends_before_the_final_answer_leaves_the_outcome_open(
    ending: Callable[[socket.socket], None], start: bytes
) -> None:
    with Receiver(then(start, ending)) as receiver:
        answer = ask(receiver.url)
    assert (answer.status, answer.error_class, answer.was_sent) == (None, "reset", True)


def test_silence_after_an_interim_answer_is_a_time_out() -> None:
    with Receiver(then(PROCESSING, silent), OK) as receiver:
        answer = ask(receiver.url, read=0.3)
        assert (answer.status, answer.error_class, answer.was_sent) == (None, "timeout", True)
        assert ask(receiver.url).body == b"ok"


@pytest.mark.parametrize("piece", [PROCESSING, b"H", b"Link: </a>\r\n"])
def test_interim_answers_don_t_extend_the_deadline(piece: bytes) -> None:
    start = HINTS[: HINTS.index(b"\r\n") + 2] if piece.startswith(b"Link") else b""
    with Receiver(dripping(start, piece, every=0.1)) as receiver:
        answer = ask(receiver.url, total=0.5)
    assert (answer.status, answer.error_class) == (None, "timeout")


@pytest.mark.parametrize(
    ("flood", "words"),
    [
        (PROCESSING * (connections.MOST_INTERIM + 1) + OK, "more than 16 interim answers"),
        (PROCESSING * 1000 + OK, "more than 16 interim answers"),
        (b"HTTP/1.1 103 A\r\nX: " + b"y" * 70_000 + b"\r\n\r\n" + OK, "longer than 65536 bytes"),
        ((b"HTTP/1.1 103 A\r\n" + b"X: y\r\n" * 2000 + b"\r\n") * 9 + OK, "longer than 65536"),
        (b"HTTP/1.1 103 A\r\n" + b"X: y\r\n" * 90_000, "longer than 65536 bytes"),
    ],
    ids=["17", "1000", "long line", "long together", "endless head"],
)
def test_more_of_them_than_the_bound_is_no_valid_answer(flood: bytes, words: str) -> None:
    with Receiver(then(flood, close), OK) as receiver:
        answer = ask(receiver.url)
        assert (answer.status, answer.error_class, answer.was_sent) == (None, "bad_response", True)
        assert words in answer.error
        assert ask(receiver.url).body == b"ok"
        assert receiver.connections == 2


@pytest.mark.parametrize("interim", [b"", PROCESSING])
def test_switching_protocols_unasked_is_no_valid_answer(interim: bytes) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    with Receiver(interim + switch + OK, http("200 OK", b"own")) as receiver:
        answer = ask(receiver.url)
        assert (answer.status, answer.error_class, answer.was_sent) == (None, "bad_response", True)
        assert "switched protocols (101)" in answer.error
        assert ask(receiver.url).body == b"own"
        assert receiver.connections == 2


def test_the_body_of_an_interim_answer_is_no_status_line() -> None:
    bodied = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello"
    with Receiver(bodied + OK, http("200 OK", b"own")) as receiver:
        assert ask(receiver.url).error_class == "bad_response"
        assert ask(receiver.url).body == b"own"
        assert receiver.connections == 2


@pytest.mark.parametrize("behind", [PROCESSING, HINTS + http("500 No", b"forged"), CONTINUE[:9]])
def test_an_interim_answer_behind_the_final_one_reaches_no_other_request(behind: bytes) -> None:
    sent = threading.Event()
    with Receiver(
        OK + behind, then(OK, behind, lambda sock: sent.set()), http("200 OK", b"own")
    ) as receiver:
        assert ask(receiver.url).body == b"ok"
        assert ask(receiver.url).body == b"ok"
        assert sent.wait(60)
        assert ask(receiver.url).body == b"own"
        assert receiver.connections == 3


def test_an_http_1_0_receiver_may_send_them_too() -> None:
    old = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with Receiver(HINTS + old) as receiver:
        assert (ask(receiver.url).body, ask(receiver.url).body) == (b"ok", b"ok")
        assert receiver.connections == 2


def test_an_inquiry_reads_past_them_too() -> None:
    with Receiver(HINTS + http("404 No"), PROCESSING + OK) as receiver:
        assert [ask(receiver.url, method="GET", body=b"").status for _ in range(2)] == [404, 200]
