"""A request on a live connection means the same as one on a new connection, whatever comes back."""

import select
import socket
import ssl
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from orbit.outbound import client, exchange, transport
from tests.support.certificates import Authority
from tests.support.polling import until
from tests.support.receiver import OK, Answer, Receiver, close, dripping, http, reset, silent, then

LOCAL = ("127.0.0.1", "localhost")


def request(url: str, body: bytes = b"hello", *, total: float = 60, **more: Any) -> client.Request:
    headers = {"Authorization": "Bearer t", "X-Some": "a:b"}
    return client.Request("POST", url, headers, body, 1, more.pop("read", 60), total, None, **more)


def exchanged(sent: client.Request) -> tuple[client.Response, bool]:
    """Return the answer on a live connection, and whether it was ordinary."""
    begun = exchange.begin(sent, allowed=LOCAL)
    assert begun is not None
    poll = select.poll()
    poll.register(begun, select.POLLIN)
    answer = None
    while answer is None and not begun.is_unusual and time.monotonic() < begun.due:
        poll.poll(max(0.0, begun.due - time.monotonic()) * 1000)
        answer = begun.read()
    return (answer, True) if answer is not None else (begun.finish(), False)


def pass_the_deadline(begun: exchange.Exchange) -> None:
    """Let the answer come, and the time for it pass."""
    poll = select.poll()
    poll.register(begun, select.POLLIN)
    assert poll.poll(60_000)
    time.sleep(max(0.3, begun.due - time.monotonic()))


def warm(url: str, **more: Any) -> None:
    """Leave a live connection."""
    assert client.send(request(url, **more), allowed=LOCAL).status == 200


ORDINARY: dict[str, Answer] = {
    "a plain 200": OK,
    "an empty 200": http("200 OK"),
    "202 with headers": http("202 Accepted", b"{}", ["Retry-After: 3", "Content-Type: text/x"]),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no reason phrase": b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
    "keep-alive said": http("200 OK", b"{}", ["Connection: Keep-Alive"]),
    "a body longer than what is kept": http("200 OK", b"x" * 5000),
    "a secret echoed": http("200 OK", b"it was hush-hush-hush"),
    "two packets": then(b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 4\r\n\r\nab", b"cd"),
}
UNUSUAL: dict[str, Answer] = {
    "400": http("400 Bad", b"why"),
    "429": http("429 Slow", b"", ["Retry-After: 7"]),
    "500 and close": then(http("500 No", b"x", ["Connection: close"]), close),
    "redirect": http("302 Found", b"", ["Location: http://10.0.0.1/x?secret"]),
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "hints before a 200": b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + OK,
    "many interim answers": b"HTTP/1.1 102 P\r\n\r\n" * 40,
    "101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a cut chunk": then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", close),
    "chunked and a length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "no length": then(b"HTTP/1.1 200 OK\r\n\r\nok", close),
    "cut in the head": then(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", close),
    "cut in the body": then(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", close),
    "reset in the body": then(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", reset),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
    "a negative length": then(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", close),
    "a long body": http("200 OK", b"x" * 70000),
    "HTTP/1.0": then(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", close),
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a folded header": http("200 OK", b"ok", ["X-A: b", " c"]),
    "a space before a colon": then(http("200 OK", b"ok", ["Content-Type : b"]), close),
    "bytes outside ASCII": b"HTTP/1.1 200 \xc3\xbc\r\nX: \xff\r\nContent-Length: 2\r\n\r\nok",
    "many headers": http("200 OK", b"ok", [f"X-{number}: 1" for number in range(150)]),
    "another protocol": then(b"SSH-2.0-x\r\n", close),
    "zeros": then(b"\0" * 100 + b"\r\n\r\n", close),
    "status 299999": then(b"HTTP/1.1 299999 OK\r\nContent-Length: 0\r\n\r\n", close),
    "closed": close,
    "reset": reset,
    "a 204 with a length": b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok",
    "surplus": OK + b"HTTP/1.1 500 Forged\r\n",
}


@pytest.mark.parametrize(
    "answer", [*ORDINARY.values(), *UNUSUAL.values()], ids=[*ORDINARY, *UNUSUAL]
)
def test_an_answer_means_the_same_on_a_live_and_on_a_new_connection(answer: Answer) -> None:
    secrets = ("hush-hush-hush",)
    with Receiver(answer, OK) as new, Receiver(OK, answer, OK) as live:
        on_new = client.send(request(new.url, secrets=secrets), allowed=LOCAL)
        warm(live.url)
        on_live, _ = exchanged(request(live.url, secrets=secrets))
        assert replace(on_live, latency_ms=0.0) == replace(on_new, latency_ms=0.0)
        # The connection is as usable afterwards, too.
        for receiver in (new, live):
            assert client.send(request(receiver.url), allowed=LOCAL).body == b"ok"
        assert new.connections == live.connections
        assert len(live.requests) == 3  # nothing was sent twice


@pytest.mark.parametrize("answer", ORDINARY.values(), ids=ORDINARY.keys())
def test_an_ordinary_answer_needs_no_thread(answer: Answer) -> None:
    with Receiver(OK, answer, OK) as receiver:
        warm(receiver.url)
        assert exchanged(request(receiver.url))[1]
        assert exchanged(request(receiver.url))[1]
        assert receiver.connections == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("path", ["", "/a%2Fb?x=%2F&y=a+b", "?only=query", "/a/../b", "/%zz"])
def test_both_ways_send_the_same_request(method: str, path: str) -> None:
    with Receiver() as receiver:
        url = receiver.url.removesuffix("/hook") + path
        sent = replace(request(url, b"\x00\xff\r\n"), method=method)
        assert client.send(sent, allowed=LOCAL).status == 200
        assert exchanged(sent)[1]
        first, second = receiver.requests
    assert (first.line, first.headers, first.body) == (second.line, second.headers, second.body)


def test_the_host_is_named_as_on_a_new_connection() -> None:
    with Receiver(host="::1") as receiver:
        for _ in range(2):
            sent = request(receiver.url)
            if begun := exchange.begin(sent, allowed=("::1",)):
                assert begun.finish().status == 200
            else:
                assert client.send(sent, allowed=("::1",)).status == 200
        hosts = {received.headers["host"] for received in receiver.requests}
        assert (hosts, receiver.connections) == ({f"[::1]:{receiver.port}"}, 1)


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({"method": "GET"}, b""),
        ({"headers": {"X": "a\r\nY: b"}}, b""),
        ({"headers": {"X: y": "a"}}, b""),
        ({"headers": {"X": "snow\u2603"}}, b""),
        ({"headers": {"Transfer-Encoding": "chunked"}}, b""),
        ({"headers": {"Content-Length": "3"}}, b""),
        ({"headers": {"host": "other"}}, b""),
        ({"headers": {"X": "a" * 5000, "Y": "b" * 5000}}, b""),
        ({"url": "http://10.0.0.1/"}, b""),
        ({}, b"x" * (exchange.LONGEST_REQUEST + 1)),
    ],
)
def test_an_extraordinary_request_is_left_to_the_client(
    change: dict[str, Any], body: bytes
) -> None:
    with Receiver() as receiver:
        warm(receiver.url)
        sent = replace(request(receiver.url, body), **change)
        assert exchange.begin(sent, allowed=LOCAL) is None
        assert len(receiver.requests) == 1


def test_nothing_is_sent_without_a_live_connection_under_the_same_rules() -> None:
    with Receiver() as receiver:
        assert exchange.begin(request(receiver.url), allowed=LOCAL) is None
        warm(receiver.url)
        # Another list of allowed hosts: a connection made under wider rules isn't reused.
        assert exchange.begin(request(receiver.url), allowed=("127.0.0.1",)) is None
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("left", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", close])
def test_a_connection_that_is_not_silent_is_not_used(left: Answer) -> None:
    with Receiver(then(OK, lambda sock: time.sleep(0.05), left)) as receiver:
        warm(receiver.url)
        time.sleep(0.2)
        assert exchange.begin(request(receiver.url), allowed=LOCAL) is None
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n", b"X: y\r\n", every=0.01),
        dripping(b"HTTP/1.1 200 OK\r\nX: ", b"y", every=0.01),
        dripping(b"", b"H", every=0.01),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"z", every=0.01),
        dripping(b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n", every=0.01),
    ],
)
def test_the_total_time_out_ends_what_drips(answer: Answer) -> None:
    with Receiver(OK, answer) as receiver:
        warm(receiver.url)
        started = time.monotonic()
        received, is_ordinary = exchanged(request(receiver.url, total=0.5))
    assert not is_ordinary
    assert time.monotonic() - started < 30
    assert received.was_sent is True
    assert received.status in {None, 200}
    assert "timeout" in f"{received.error_class} {received.error}"


def test_the_read_time_out_counts_from_the_last_byte() -> None:
    with Receiver(OK, then(b"HTTP/1.1 200 OK\r\n", silent)) as receiver:
        warm(receiver.url)
        received, _ = exchanged(request(receiver.url, read=0.2))
        assert (received.status, received.error_class) == (None, "timeout")


@pytest.mark.parametrize(
    ("answer", "is_reused"),
    [
        (OK, True),
        (UNUSUAL["hints before a 200"], True),
        (UNUSUAL["chunked"], True),
        (http("200 OK", b"x" * 40_000), True),
        (UNUSUAL["surplus"], False),
        (then(OK, close), False),
    ],
)
def test_an_answer_that_came_in_time_counts_however_late_it_is_read(
    answer: Answer, is_reused: bool
) -> None:
    """The process was suspended, or its slot waited for the database."""
    with Receiver(OK, answer, OK) as receiver:
        warm(receiver.url)
        begun = exchange.begin(request(receiver.url, total=0.3), allowed=LOCAL)
        assert begun is not None
        pass_the_deadline(begun)
        received = begun.finish()
        assert (received.status, received.error_class) == (200, None)
        assert "cut off" not in received.error
        warm(receiver.url)
        assert receiver.connections == (1 if is_reused else 2)


def test_the_latency_is_that_of_the_head() -> None:
    slow = then(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", lambda sock: time.sleep(1), b"ok")
    cut = then(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", silent)
    with Receiver(OK, slow, cut) as receiver:
        warm(receiver.url)
        whole, is_ordinary = exchanged(request(receiver.url))
        assert (is_ordinary, whole.body) == (True, b"ok")
        late, _ = exchanged(request(receiver.url, total=1))
        assert "timeout" in late.error
        assert max(whole.latency_ms, late.latency_ms) < 900


def test_what_the_socket_does_not_take_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LONGEST_REQUEST", 30_000_000)
    body = b"x" * 20_000_000
    with Receiver(OK) as receiver:
        warm(receiver.url)
        begun = exchange.begin(request(receiver.url, body), allowed=LOCAL)
        assert begun is not None
        assert begun.is_unusual
        assert begun.finish().status == 200
        assert receiver.requests[1].body == body
        assert exchanged(request(receiver.url))[1]
        assert receiver.connections == 1


def test_an_answer_before_the_request_was_read_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LONGEST_REQUEST", 30_000_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/hook"

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(OK)
                peer.recv(65536)
                peer.sendall(http("413 Too large", b"big", ["Connection: close"]))
                peer.shutdown(socket.SHUT_WR)
                until(lambda: not peer.recv(65536))

        thread = threading.Thread(target=serve)
        thread.start()
        warm(url)
        begun = exchange.begin(request(url, b"x" * 20_000_000, read=1), allowed=LOCAL)
        assert begun is not None
        assert begun.finish().status == 413
        transport.adapter.close()
        thread.join(30)


def test_a_live_tls_connection_is_used_and_its_surplus_noticed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    context = authority.server("localhost")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Receiver(OK, OK, OK + b"surplus", OK, tls=context) as receiver:
        sent = replace(
            request(f"https://localhost:{receiver.port}/"), ca_bundle=str(authority.bundle)
        )
        assert client.send(sent, allowed=LOCAL).status == 200
        assert exchanged(sent)[1]
        assert exchanged(sent)[0].body == b"ok"
        assert receiver.connections == 1
        assert exchange.begin(sent, allowed=LOCAL) is None
        assert client.send(sent, allowed=LOCAL).body == b"ok"
        assert receiver.connections == 2


def test_an_answer_in_several_tls_records_counts_however_late_it_is_read(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    answer = then(b"HTTP/1.1 103 Early Hints\r\n\r\n", lambda sock: time.sleep(0.05), OK)
    with Receiver(OK, answer, OK, tls=authority.server("localhost")) as receiver:
        sent = replace(
            request(f"https://localhost:{receiver.port}/"), ca_bundle=str(authority.bundle)
        )
        assert client.send(sent, allowed=LOCAL).status == 200
        begun = exchange.begin(replace(sent, total_timeout=0.3), allowed=LOCAL)
        assert begun is not None
        pass_the_deadline(begun)
        assert begun.read() is None
        assert begun.is_unusual
        assert begun.finish().body == b"ok"
