"""The web server's application on an event loop, without a server."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from orbit_site.web import front, pools, shares
from orbit_site.web.front import Front
from orbit_site.web.pools import Size

SMALL = Size(threads=1, wait=0.2, work=0.5, proof=1)


class Client:
    """One request and its answer, as the web server would pass them."""

    def __init__(
        self, path: str = "/cycles", method: str = "GET", *chunks: bytes, **headers: str
    ) -> None:
        raw = path.encode()
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": raw.partition(b"?")[0],
            "query_string": raw.partition(b"?")[2],
            "http_version": "1.1",
            "server": ("127.0.0.1", "3000"),
            "client": ("127.0.0.1", "1"),
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
        }
        self._chunks = list(chunks)
        self._is_read = bool(chunks) or "content_length" in headers
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.pieces = 0
        self.complete = False

    async def receive(self) -> dict[str, Any]:
        if not self._chunks and not self._is_read:
            self._is_read = True  # as the server does for a request without a body
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self._chunks:
            await asyncio.sleep(3600)
        chunk = self._chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": chunk != b""}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message["body"]
        self.pieces += 1
        self.complete = not message.get("more_body", False)

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


@pytest.fixture(autouse=True)
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread connects before it is needed."""
    monkeypatch.setattr(shares, "SIZES", dict.fromkeys(shares.SIZES, Size(2, 10, 10, 10)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread for each pool, and little patience."""
    monkeypatch.setattr(shares, "SIZES", dict.fromkeys(shares.SIZES, SMALL))


Body = Callable[[dict[str, Any]], Any]


def serve(application: Body, *clients: Client, then: float = 0.0) -> None:
    """Answer ``clients`` at the same time."""

    def wsgi(environment: dict[str, Any], start: Any) -> Any:
        body = application(environment)
        start("200 OK", [("X-Thread", str(threading.get_ident()))])
        return [body] if isinstance(body, bytes) else body

    async def run() -> None:
        ours = Front(wsgi)
        calls = []
        for client in clients:
            calls.append(asyncio.ensure_future(ours(client.scope, client.receive, client.send)))
            await asyncio.sleep(0.01)  # in this order
        await asyncio.gather(*calls)
        await asyncio.sleep(then)
        ours.close()

    asyncio.run(run())


def test_a_request_is_answered_and_its_body_is_whole() -> None:
    client = Client("/x", "POST", b"ab", b"cd", b"", content_length="4")
    serve(lambda environment: environment["wsgi.input"].read(), client)
    assert (client.status, client.body, client.complete) == (200, b"abcd", True)


def test_a_body_that_does_not_come_is_a_408_and_holds_no_thread(
    monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    monkeypatch.setattr(front, "READ_SECONDS", 0.2)
    slow = [Client("/x", "POST", b"a", content_length="4") for _ in range(5)]
    other = Client("/x")
    serve(lambda environment: b"ok", *slow, other)
    assert other.body == b"ok"
    assert {(client.status, client.code) for client in slow} == {(408, "request_timeout")}
    assert slow[0].headers["Content-Type"] == "application/problem+json"
    assert slow[0].headers["X-Request-ID"]


def test_a_body_whose_chunks_are_broken_is_the_clients_error() -> None:
    class Broken(Client):
        async def receive(self) -> dict[str, Any]:
            return {"type": "http.disconnect"}

    client = Broken("/cycles/trigger", "POST", transfer_encoding="chunked")
    serve(lambda environment: b"never", client)
    assert (client.status, client.code, client.complete) == (400, "malformed", True)


def test_a_body_over_the_limit_is_not_read_and_its_length_is_passed_on(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    announced = Client("/x", "POST", content_length="101")
    chunked = Client("/x", "POST", *([b"a" * 60] * 2), transfer_encoding="chunked")
    for client, length in ((announced, "101"), (chunked, "120")):
        serve(
            lambda environment: (
                environment["CONTENT_LENGTH"].encode() + environment["wsgi.input"].read()
            ),
            client,
        )
        assert client.body == length.encode()


def test_events_have_a_limit_and_a_share_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "LARGE_BODIES", 3_000_000)
    monkeypatch.setattr(front, "READ_SECONDS", 0.3)
    events = Client("/telemetry/events", "POST", b"a" * 2_000_000, b"", transfer_encoding="chunked")
    serve(lambda environment: environment["CONTENT_LENGTH"].encode(), events)
    assert events.body == b"2000000"
    over = Client("/telemetry/events", "POST", content_length=str(16 * 1024 * 1024 + 1))
    serve(lambda environment: environment["wsgi.input"].read() + b"none", over)
    assert over.body == b"none"
    # They take the room of events, not that of others.
    slow = Client("/telemetry/events", "POST", b"a" * 2_900_000, content_length="3000000")
    refused = Client("/telemetry/events", "POST", b"a" * 900_000, b"", content_length="900000")
    other = Client("/x", "POST", b"a" * 900_000, b"", content_length="900000")
    serve(lambda environment: b"ok", slow, refused, other)
    assert [client.status for client in (slow, refused, other)] == [408, 503, 200]


def test_large_bodies_share_a_limit_and_small_ones_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "LARGE_BODIES", 100_000)
    monkeypatch.setattr(front, "READ_SECONDS", 0.3)
    large = [Client("/x", "POST", b"a" * 150_000, content_length="160000") for _ in range(2)]
    announced = Client("/x", "POST", b"a", content_length="1000000")
    halt = Client("/governance/pause", "POST", b"{}", b"", content_length="2")
    after = Client("/x", "POST", b"a" * 70_000, b"", content_length="70000")
    serve(lambda environment: b"ok", *large, announced, halt)
    assert [client.status for client in (*large, announced)] == [408, 503, 408]
    assert (large[1].code, halt.status) == ("server_busy", 200)
    serve(lambda environment: b"ok", after)
    assert after.status == 200


def test_an_address_or_headers_that_are_too_long_are_refused_as_problems() -> None:
    address, headers = Client("/" + "a" * 9000), Client("/x", x_a="b" * 70_000)
    serve(lambda environment: b"", address, headers)
    assert (address.status, address.code) == (414, "bad_request")
    assert (headers.status, headers.code) == (431, "bad_request")


def test_requests_that_no_thread_begins_are_refused_and_stops_have_their_own(small: None) -> None:
    release = threading.Event()

    def application(environment: dict[str, Any]) -> bytes:
        if environment["PATH_INFO"] == "/slow":
            release.wait(10)
        elif environment["PATH_INFO"] == "/health":
            release.set()
        return b"ok"

    slow, refused, halt, cancel = (
        Client("/slow"),
        Client("/cycles"),
        Client("/governance/namespaces/eu/halt", "POST"),
        Client("/cycles/1/cancel", "POST"),
    )
    serve(application, slow, refused, halt, cancel)
    assert (refused.status, refused.code) == (503, "server_busy")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (halt.status, cancel.status) == (200, 200)
    page = Client("/admin/orbit/cyclerun/")
    serve(application, Client("/slow"), page)
    assert (page.status, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")


def test_a_request_that_overstays_is_a_503_and_its_thread_is_replaced(
    small: None, committed: str
) -> None:
    ended: list[float] = []
    began = time.monotonic()

    def application(environment: dict[str, Any]) -> bytes:
        if environment["PATH_INFO"] == "/slow":
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(20)")
            except OperationalError:
                ended.append(time.monotonic() - began)
                raise
        return b"ok"

    slow, after = Client("/slow"), Client("/cycles")
    serve(application, slow, then=1.0)
    assert (slow.status, slow.code) == (503, "request_overstayed")
    # The wait for the database ended with the request, not with the statement.
    assert len(ended) == 1
    assert ended[0] < 15
    serve(application, Client("/slow"), after)
    assert after.status == 503
    serve(application, after)
    assert after.status == 200


def test_threads_that_never_come_free_end_the_process(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MOST_GIVEN_UP", 1)
    signals: list[int] = []
    monkeypatch.setattr(pools.os, "kill", lambda pid, number: signals.append(number))
    monkeypatch.setattr(
        shares, "SIZES", dict.fromkeys(shares.SIZES, Size(threads=2, wait=0.1, work=0.1, proof=1))
    )
    release = threading.Event()
    serve(lambda environment: b"ok" if release.wait(5) else b"", Client("/a"), Client("/b"))
    release.set()
    assert len(signals) == 1


def test_a_stream_is_made_in_pieces_that_hold_no_thread_while_the_client_takes_them(
    small: None,
) -> None:
    closed = threading.Event()

    class Stream:
        def __iter__(self) -> Iterator[bytes]:
            return (b"x" * 100_000 for _ in range(20))

        def close(self) -> None:
            closed.set()

    class Slow(Client):
        async def send(self, message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body" and not self.pieces:
                taken.append(time.monotonic())
                await asyncio.sleep(0.6)
            await super().send(message)

    taken: list[float] = []
    slow, other = Slow("/stream"), Client("/other")
    serve(
        lambda environment: Stream() if environment["PATH_INFO"] == "/stream" else b"ok",
        slow,
        other,
    )
    # The only thread answered this one while the other client took its first piece.
    assert other.body == b"ok"
    assert (len(slow.body), slow.complete, closed.is_set()) == (2_000_000, True, True)
    assert slow.pieces > 5


def test_a_stream_that_nobody_takes_or_that_fails_is_never_marked_as_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(front, "TAKE_SECONDS", 0.2)
    hung_up: list[Any] = []
    monkeypatch.setattr(front, "_hang_up", hung_up.append)

    class Stuck(Client):
        async def send(self, message: dict[str, Any]) -> None:
            if self.pieces == 2:
                await asyncio.sleep(3600)
            await super().send(message)

    def failing() -> Iterator[bytes]:
        yield b"x" * 300_000
        raise ValueError("the database went away")

    stuck, broken = Stuck("/a"), Client("/b")
    serve(lambda environment: (b"x" * 300_000 for _ in range(9)), stuck)
    serve(lambda environment: failing(), broken)
    assert [stuck.complete, broken.complete] == [False, False]
    assert hung_up == [("127.0.0.1", "1")] * 2


def test_the_body_of_a_head_request_is_never_made() -> None:
    made: list[int] = []

    def body() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield b"x" * 300_000

    client = Client("/export", "HEAD")
    serve(lambda environment: body(), client)
    assert (client.status, client.body, client.complete, made) == (200, b"", True, [])


def test_the_request_id_reaches_django_unless_it_could_forge_a_line() -> None:
    ours, forged = Client("/x", x_request_id="order-4711"), Client("/x", x_request_id="a b")
    for client in (ours, forged):
        serve(lambda environment: environment["HTTP_X_REQUEST_ID"].encode(), client)
    assert ours.body == b"order-4711"
    assert len(forged.body) == 32
