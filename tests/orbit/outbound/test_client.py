import gzip
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from orbit.outbound import addresses, client
from tests.support.receiver import OK, Receiver, close, dripping, http, reset, silent, then

LOCAL = ["127.0.0.1"]


def post(
    url: str,
    body: bytes = b"hello",
    *,
    total: float = 60,
    read: float = 60,
    ca_bundle: str | None = None,
    allowed: list[str] | None = None,
    headers: dict[str, str] | None = None,
    **options: int,
) -> client.Response:
    request = client.Request(
        "POST",
        url,
        {"Authorization": "Bearer t", **(headers or {})},
        body,
        1,
        read,
        total,
        ca_bundle,
    )
    return client.send(request, allowed=LOCAL if allowed is None else allowed, **options)


def test_the_body_arrives_byte_for_byte_with_its_length_and_no_compression_asked_for() -> None:
    body = b'\x00\xff\r\n{"a":1,"a":2}\n' * 1000
    with Receiver() as receiver:
        answer = post(receiver.url + "?q=%2F", body)
        received = receiver.requests[0]
    assert (answer.status, answer.body, answer.was_sent, answer.error_class) == (
        200,
        b"ok",
        True,
        None,
    )
    assert received.body == body
    assert received.line == "POST /hook?q=%2F HTTP/1.1"
    assert received.headers["content-length"] == str(len(body))
    assert received.headers["accept-encoding"] == "identity"
    assert received.headers["user-agent"].startswith("Orbit/")
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "transfer-encoding" not in received.headers


def test_an_empty_body_is_sent_with_length_zero() -> None:
    with Receiver() as receiver:
        assert post(receiver.url, b"").status == 200
        assert receiver.requests[0].headers["content-length"] == "0"


def test_one_connection_serves_many_requests() -> None:
    with Receiver() as receiver:
        assert [post(receiver.url).status for _ in range(20)] == [200] * 20
        assert receiver.connections == 1


def test_sixteen_threads_share_the_connections() -> None:
    with Receiver() as receiver:
        statuses: list[int | None] = []
        threads = [
            threading.Thread(
                target=lambda: statuses.extend(post(receiver.url).status for _ in range(20))
            )
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 320
        assert receiver.connections <= 16


def test_a_connection_that_the_receiver_closed_meanwhile_is_not_used_again() -> None:
    closed = threading.Event()
    with Receiver(then(OK, close, lambda sock: closed.set()), OK) as receiver:
        assert post(receiver.url).status == 200
        assert closed.wait(60)
        assert post(receiver.url).status == 200
        assert len(receiver.requests) == 2


def test_a_slow_head_ends_at_the_total_deadline() -> None:
    with Receiver(dripping(b"HTTP/1.1 200 OK\r\n", b"X")) as receiver:
        answer = post(receiver.url, total=0.6)
    assert (answer.status, answer.error_class, answer.was_sent) == (None, "timeout", True)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"z"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nz\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"z"),
    ],
)
def test_a_slow_body_leaves_the_status_and_the_bytes_received(start: bytes, piece: bytes) -> None:
    with Receiver(dripping(start, piece)) as receiver:
        answer = post(receiver.url, total=2)
    assert (answer.status, answer.error_class, answer.body) == (200, None, None)
    assert answer.excerpt.startswith(b"zz")
    assert answer.error == "the body was cut off (timeout)"


def test_bytes_forged_after_an_answer_are_never_the_next_answer() -> None:
    forged = threading.Event()
    misbehaving = then(OK, http("500 No", b"forged"), lambda sock: forged.set())
    with Receiver(misbehaving, http("200 OK", b"own")) as receiver:
        post(receiver.url)
        # What arrives during the next request can't be distinguished from its own answer.
        assert forged.wait(60)
        assert post(receiver.url).body == b"own"


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n"],
)
def test_a_head_cut_off_is_no_delivery(head: bytes) -> None:
    with Receiver(then(head, close)) as receiver:
        answer = post(receiver.url)
    assert (answer.status, answer.error_class, answer.was_sent) == (None, "reset", True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_a_success_with_a_broken_body_is_a_success(answer: bytes) -> None:
    with Receiver(then(answer, close)) as receiver:
        answer = post(receiver.url)
    assert (answer.status, answer.error_class, answer.body) == (200, None, None)


def test_a_redirect_is_an_ordinary_answer_and_is_not_followed() -> None:
    with (
        Receiver() as target,
        Receiver(
            http("302 Found", b"go", [f"Location: {target.url}", "Set-Cookie: a=b"]), OK
        ) as receiver,
    ):
        assert (post(receiver.url).status, post(receiver.url).status) == (302, 200)
        assert target.requests == []
        assert "cookie" not in receiver.requests[1].headers


@pytest.mark.parametrize("location", ["http://[::1", "\xff\xfe", "/\x00"])
def test_a_malformed_location_is_never_looked_at(location: str) -> None:
    with Receiver(
        b"HTTP/1.1 302 Found\r\nLocation: "
        + location.encode("latin-1")
        + b"\r\nContent-Length: 0\r\n\r\n"
    ) as receiver:
        assert post(receiver.url).status == 302


def test_an_endless_body_is_read_up_to_the_limit_and_the_connection_dropped() -> None:
    with Receiver(
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", b"z" * 65536, every=0),
        OK,
    ) as receiver:
        tracemalloc.start()
        answer = post(receiver.url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert post(receiver.url).body == b"ok"
        assert receiver.connections == 2
    assert (answer.status, len(answer.excerpt), answer.body) == (200, client.KEEP, None)
    assert peak < 3_000_000


def test_a_compressed_answer_is_kept_unchanged() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    assert len(bomb) < client.LIMIT
    with Receiver(http("200 OK", bomb, ["Content-Encoding: gzip"])) as receiver:
        tracemalloc.start()
        answer = post(receiver.url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.excerpt == bomb[: client.KEEP]
    assert peak < 3_000_000


def test_a_larger_body_is_complete_if_it_is_requested() -> None:
    with Receiver(http("200 OK", b"x" * 300_000, ["Content-Type: image/png"])) as receiver:
        answer = post(receiver.url, keep=300_000, limit=300_000)
        short = post(receiver.url, keep=299_999, limit=299_999)
    assert (answer.body, answer.content_type) == (b"x" * 300_000, "image/png")
    assert short.body is None
    assert "longer than 299999" in short.error


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"<html>hello</html>",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n"
        + b"".join(b"X-%d: y\r\n" % number for number in range(150))
        + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    ],
)
def test_invalid_http_is_a_bad_response(nonsense: bytes) -> None:
    with Receiver(then(nonsense, close)) as receiver:
        answer = post(receiver.url)
    assert (answer.status, answer.error_class, answer.was_sent) == (None, "bad_response", True)


def test_a_success_needs_neither_reason_nor_readable_headers() -> None:
    with Receiver(b"HTTP/1.1 204\r\nX: \xff\xfe\r\n\r\n") as receiver:
        assert post(receiver.url).status == 204


@pytest.mark.parametrize("ending", [close, reset])
def test_a_connection_that_breaks_after_the_request_leaves_the_outcome_open(
    ending: Callable[..., None],
) -> None:
    with Receiver(ending) as receiver:
        answer = post(receiver.url)
    assert (answer.status, answer.error_class, answer.was_sent) == (None, "reset", True)


def test_an_early_refusal_of_a_large_body_is_still_read() -> None:
    with Receiver(greeting=then(http("413 Too Large", b"no"), silent)) as receiver:
        answer = post(receiver.url, b"x" * 30_000_000, read=0.5)
        assert (answer.status, answer.excerpt) == (413, b"no")
        post(receiver.url, read=0.2)
        assert receiver.connections == 2


def test_a_receiver_that_never_reads_ends_in_a_time_out() -> None:
    with Receiver(greeting=silent) as receiver:
        answer = post(receiver.url, b"x" * 50_000_000, total=2)
    assert (answer.error_class, answer.was_sent) == ("timeout", True)


def test_a_closed_port_proves_that_nothing_was_sent() -> None:
    with Receiver() as receiver:
        url = receiver.url
    answer = post(url)
    assert (answer.error_class, answer.was_sent) == ("connect", False)


def test_an_address_that_is_not_listed_is_refused_before_a_connection() -> None:
    with Receiver() as receiver:
        answer = post(receiver.url, allowed=[])
        assert receiver.connections == 0
    assert (answer.error_class, answer.was_sent) == ("refused", False)
    assert addresses.SETTING in answer.error


def test_a_warm_connection_is_not_used_once_the_list_is_narrower() -> None:
    with Receiver() as receiver:
        assert post(receiver.url).status == 200
        assert post(receiver.url, allowed=[]).error_class == "refused"
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\0", "a\x7f", "\u2603", "a\n"])
def test_a_header_that_cannot_be_sent_is_refused_and_not_shown(value: str) -> None:
    with Receiver() as receiver:
        answer = post(receiver.url, headers={"X-Secret": f"hush{value}"})
        assert receiver.requests == []
    assert (answer.error_class, answer.was_sent) == ("refused", False)
    assert "hush" not in answer.error


def test_proxy_netrc_and_ca_variables_of_the_environment_have_no_effect(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login wrong password wrong\n")
    (tmp_path / ".netrc").chmod(0o600)
    program = (
        "import sys; from django.conf import settings\n"
        "settings.configure(ORBIT_VERSION='1')\n"
        "from orbit.outbound import client\n"
        "headers = {'Authorization': 'Bearer t'}\n"
        "request = client.Request('POST', sys.argv[1], headers, b'x', 1, 1, 2, None)\n"
        "print(client.send(request, allowed=['127.0.0.1']).status)"
    )
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
        "REQUESTS_CA_BUNDLE": "/nowhere",
        "CURL_CA_BUNDLE": "/nowhere",
        "SSL_CERT_FILE": "/nowhere",
    }
    with Receiver() as receiver:
        process = subprocess.run(
            [sys.executable, "-c", program, receiver.url],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert process.stdout.strip() == "200", process.stderr
        assert receiver.requests[0].headers["authorization"] == "Bearer t"


def test_a_forked_child_does_not_speak_on_its_parents_connection() -> None:
    with Receiver() as receiver:
        assert post(receiver.url).status == 200
        child = os.fork()
        if child == 0:
            os._exit(0 if post(receiver.url).status == 200 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert post(receiver.url).status == 200
        assert [request.connection for request in receiver.requests] == [1, 2, 1]
