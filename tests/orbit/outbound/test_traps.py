"""Receivers that misbehave: the traps that stock HTTP clients walk into, on the loopback."""

import errno
import gzip
import socket
import threading
import time
import tracemalloc
from typing import Any

import pytest

from orbit.outbound import addresses, client
from tests.support.receiver import OK, Answer, Receiver, close, dripping, http, reset, silent, then


def post(
    url: str,
    body: bytes = b"hello",
    *,
    total: float = 60,
    read: float = 60,
    method: str = "POST",
    allowed: tuple[str, ...] = ("127.0.0.1",),
    secrets: tuple[str, ...] = (),
) -> client.Response:
    return client.send(
        client.Request(
            method, url, {"Authorization": "Bearer t"}, body, 1, read, total, None, secrets
        ),
        allowed=allowed,
    )


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Make every name resolve to ``addresses``."""
    families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *arguments, **options: [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ],
    )


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize(
    "behind", [b"HTTP/1.1 200 OK\r\nContent-Len", http("200 OK", b"forged"), b"x"]
)
def test_data_after_an_answer_makes_its_connection_unusable(status: str, behind: bytes) -> None:
    # In one packet with the head, so that the socket itself looks silent afterwards.
    with Receiver(
        f"HTTP/1.1 {status}\r\n\r\n".encode() + behind, http("200 OK", b"own")
    ) as receiver:
        assert post(receiver.url).status == int(status[:3])
        assert post(receiver.url).body == b"own"
        assert receiver.connections == 2


def test_data_after_a_body_makes_its_connection_unusable() -> None:
    with Receiver(OK + b"HTTP/1.1 500 Forged\r\n", http("200 OK", b"own")) as receiver:
        assert (post(receiver.url).body, post(receiver.url).body, receiver.connections) == (
            b"ok",
            b"own",
            2,
        )


@pytest.mark.parametrize(
    "body",
    [b"not gzip at all", gzip.compress(b"x" * 1000, mtime=0)[:-9], b""],
    ids=["no gzip", "cut", "empty"],
)
def test_a_success_with_broken_compression_is_a_success(body: bytes) -> None:
    with Receiver(http("200 OK", body, ["Content-Encoding: gzip"])) as receiver:
        answer = post(receiver.url)
    assert (answer.status, answer.excerpt) == (200, body)


def test_a_chunked_bomb_and_an_endless_chunk_head_cost_no_memory() -> None:
    bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    for answer in (
        dripping(bomb, b"10000\r\n" + b"\0" * 65536 + b"\r\n", every=0),
        dripping(bomb, b"0" * 65536, every=0),
        dripping(bomb + b"0\r\n", b"X: " + b"y" * 60000 + b"\r\n", every=0),
    ):
        with Receiver(answer) as receiver:
            tracemalloc.start()
            status = post(receiver.url, total=2).status
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert status == 200
        assert peak < 3_000_000


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 -200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 600 Odd\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nok",
    ],
)
def test_invalid_answers_raise_nothing_and_only_a_valid_status_line_counts(head: bytes) -> None:
    with Receiver(then(head, close), OK) as receiver:
        answer = post(receiver.url)
        assert post(receiver.url).body == b"ok"
    if b" 200 OK\r\nContent-Length: -1" not in head:
        assert (answer.status, answer.was_sent) == (None, True)
        assert answer.error_class in {"bad_response", "reset"}


def test_every_status_comes_back_as_it_was_sent() -> None:
    statuses = list(range(200, 600))
    with Receiver(
        *(
            http(f"{status} Some", b"")
            if status not in (204, 304)
            else f"HTTP/1.1 {status}\r\n\r\n".encode()
            for status in statuses
        )
    ) as receiver:
        assert [post(receiver.url).status for _ in statuses] == statuses


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("location", [True, False])
def test_no_redirect_is_followed_and_the_credentials_stay_here(status: int, location: bool) -> None:
    with (
        Receiver() as target,
        Receiver(
            http(f"{status} Moved", b"", [f"Location: {target.url}"] if location else [])
        ) as receiver,
    ):
        answer = post(receiver.url)
        assert target.connections == 0
    assert answer.status == status
    # 304 redirects nowhere: its Location is that of the answer that the client has.
    assert ("redirects to" in answer.refusal) == (location and status != 304)


@pytest.mark.parametrize("piece", [b"z" * 65536, b"z"])
def test_the_body_of_a_redirect_is_bounded_like_any_other(piece: bytes) -> None:
    start = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 150000000\r\n\r\n"
    with Receiver(dripping(start, piece, every=0 if len(piece) > 1 else 0.05)) as receiver:
        answer = post(receiver.url, total=0.6)
    assert (answer.status, len(answer.excerpt) <= client.KEEP) == (302, True)
    assert answer.error in {
        "the body was cut off (timeout)",
        f"the body is longer than {client.LIMIT} bytes",
    }


def test_a_connection_closed_as_the_second_request_arrives_is_an_attempt_and_not_hidden() -> None:
    with Receiver(OK, close, OK) as receiver:
        first, second = post(receiver.url), post(receiver.url)
        assert (first.status, second.error_class, second.was_sent) == (200, "reset", True)
        assert len(receiver.requests) == 2


def test_a_reset_as_the_second_request_arrives_is_not_sent_again_either() -> None:
    with Receiver(OK, reset, OK) as receiver:
        assert [post(receiver.url).error_class for _ in range(2)] == [None, "reset"]
        assert len(receiver.requests) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_time_out_is_one_request_whatever_the_method(method: str) -> None:
    with Receiver(silent) as receiver:
        assert post(receiver.url, read=0.2, method=method).error_class == "timeout"
        time.sleep(0.2)
        assert (len(receiver.requests), receiver.connections) == (1, 1)


def test_a_receiver_on_ipv6_alone_is_reached_by_address_and_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Receiver(host="::1") as receiver:
        assert post(receiver.url, allowed=("::1",)).status == 200
        assert receiver.requests[0].headers["host"] == f"[::1]:{receiver.port}"
        resolving(monkeypatch, "::1")
        assert post(f"http://six.example:{receiver.port}/", allowed=("six.example",)).status == 200


def test_of_three_addresses_the_reachable_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.3", "127.0.0.2", "127.0.0.1")
    with Receiver() as receiver:
        assert (
            post(f"http://three.example:{receiver.port}/", allowed=("127.0.0.0/8",)).status == 200
        )


def test_an_address_that_never_answers_costs_only_the_connect_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    total = 60
    with socket.create_server(("127.0.0.2", 0), backlog=0) as full:
        # A full backlog leaves a SYN unanswered, as a black hole does.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            assert filler.connect_ex(full.getsockname()) in {0, errno.EINPROGRESS}
        started = time.monotonic()
        answer = post(
            f"http://127.0.0.2:{full.getsockname()[1]}/", allowed=("127.0.0.2",), total=total
        )
        took = time.monotonic() - started
        for filler in fillers:
            filler.close()
    assert (answer.error_class, answer.was_sent) == ("connect", False)
    assert took < total / 2  # the connect time-out is 1 s


@pytest.mark.parametrize(
    "fault",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
        UnicodeError("label too long"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
)
def test_a_name_that_does_not_resolve_proves_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise fault

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    answer = post("http://unknown.example/", allowed=("unknown.example",))
    assert (answer.error_class, answer.was_sent) == ("dns", False)
    assert "unknown.example" in answer.error


def test_a_resolver_that_is_silent_holds_no_request_beyond_its_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quiet, answered = threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        quiet.wait(60)
        answered.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    answers = [post("http://slow.example/", allowed=("slow.example",), total=0.3) for _ in range(3)]
    assert not answered.is_set()
    quiet.set()
    assert {(answer.error_class, answer.was_sent) for answer in answers} == {("dns", False)}


def test_resolvers_that_never_return_do_not_accumulate(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, asking = threading.Event(), list[threading.Thread]()

    def never(*arguments: Any, **options: Any) -> Any:
        asking.append(threading.current_thread())
        quiet.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(addresses, "RESOLVERS", threading.BoundedSemaphore(2))
    try:
        answers = [
            post("http://slow.example/", allowed=("slow.example",), total=0.3) for _ in range(6)
        ]
    finally:
        quiet.set()
        for thread in asking:
            thread.join()
    assert {answer.error_class for answer in answers} == {"dns"}
    assert len(asking) == 2


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a%2Fb/%20?x=%2F&y=a+b",
        "?only=query",
        "/..%2f..%2fetc",
        "/a/../b",
        "/a//b",
        "/%",
        "/%zz",
        "/a;b=c@d:e",
    ],
)
def test_a_path_goes_out_as_it_was_written(path: str) -> None:
    with Receiver() as receiver:
        base = receiver.url.removesuffix("/hook")
        assert post(base + path).status == 200
        target = receiver.requests[0].line.split(" ")[1]
    assert target == (path if path.startswith("/") else "/" + path)


def test_an_answer_that_echoes_the_request_shows_no_secret_of_it() -> None:
    def echo(sock: socket.socket) -> None:
        sock.sendall(
            http(
                "401 No",
                b"bad credentials: Bearer hush-hush-hush; path /hook; padding "
                + b"." * 4005
                + b"hush-hush-hush",
            )
        )

    with Receiver(echo) as receiver:
        answer = post(receiver.url, secrets=("hush-hush-hush",))
    assert b"hush" not in answer.excerpt
    assert answer.excerpt.startswith(b"bad credentials: Bearer [masked]; path")


ABUSE: dict[str, Answer] = {
    "a head without end": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", every=0.01),
    "a line without end": dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 10, every=0.01),
    "a status line without end": dripping(b"", b"H", every=0.01),
    "a continue that drips": dripping(b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n", every=0.01),
    "a body without end": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"z", every=0.01),
    "trailers without end": dripping(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", every=0.01
    ),
    "silence": silent,
}


@pytest.mark.parametrize("answer", ABUSE.values(), ids=ABUSE.keys())
def test_nothing_holds_a_sender_beyond_the_total_deadline(answer: Answer) -> None:
    with Receiver(answer) as receiver:
        received = post(receiver.url, total=0.7, read=60)
    assert received.was_sent is True
    assert received.status in {None, 200}
    assert "timeout" in f"{received.error_class} {received.error}"
