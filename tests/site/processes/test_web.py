import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator

import psutil
import psycopg
import pytest

THREADS = 8
from tests.support.project import free_port
from tests.support.web_server import start, wait_until_it_serves

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def address(web_database: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The address of a running web server."""
    here = {**web_database, "PORT": str(free_port())}
    process = start(here)
    wait_until_it_serves(here, process)
    try:
        yield "127.0.0.1", int(here["PORT"])
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in output) == (0, False), output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_lets_the_running_request_end_refuses_new_ones_and_exits_with_0(
    variables: dict[str, str], number: signal.Signals
) -> None:
    process = start(variables)
    wait_until_it_serves(variables, process)
    address = ("127.0.0.1", int(variables["PORT"]))
    with socket.create_connection(address, timeout=60) as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")  # a request that is under way
        time.sleep(0.3)
        os.killpg(process.pid, number)
        time.sleep(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=60)
        slow.sendall(b"\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def test_its_worker_dies_with_a_master_that_was_killed(variables: dict[str, str]) -> None:
    process = start(variables)
    wait_until_it_serves(variables, process)
    (worker,) = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    psutil.wait_procs([worker], timeout=60)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_busy_port_is_refused_with_what_to_do(variables: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(variables["PORT"]))):
        process = start(variables)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"127.0.0.1:{variables['PORT']}" in output
    assert "set PORT" in output
    assert "Traceback" not in output


def test_it_does_not_start_on_a_database_that_lacks_a_migration(
    variables: dict[str, str],
) -> None:
    rename = "UPDATE django_migrations SET app = %s WHERE app = %s"
    with psycopg.connect(variables["ORBIT_OWNER_DATABASE_URL"], autocommit=True) as owner:
        owner.execute(rename, ["away", "sessions"])
        try:
            output, _ = (process := start(variables)).communicate(timeout=60)
        finally:
            owner.execute(rename, ["sessions", "away"])
    assert process.returncode == 2
    assert "manage.py migrate" in output


def test_requests_that_never_end_lose_their_thread_at_the_deadline(
    address: tuple[str, int],
) -> None:
    held = [socket.create_connection(address, timeout=60) for _ in range(THREADS + 4)]
    try:
        for number, slow in enumerate(held):
            body = (
                b"POST /cycles/trigger HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
            )
            slow.sendall(body if number % 2 else b"GET /health HTTP/1.1\r\nHost: localh")
        time.sleep(1)
        connection = http.client.HTTPConnection(*address, timeout=60)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
    finally:
        for slow in held:
            slow.close()


def test_a_malformed_request_is_answered_as_a_problem(address: tuple[str, int]) -> None:
    for request, status in (
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 99000 + b"\r\n\r\n", 431),
        (b"NO REQUEST AT ALL\r\n\r\n", 400),
    ):
        with socket.create_connection(address, timeout=60) as client:
            client.sendall(request)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.headers["Content-Type"]) == (
                status,
                "application/problem+json",
            )
            assert json.loads(answer.read())["code"] == "bad_request"
            assert answer.headers["X-Request-ID"]


def test_clients_that_do_not_hang_up_delay_no_other(
    address: tuple[str, int],
) -> None:
    def ask(client: socket.socket, *more: bytes) -> int:
        client.sendall(b"\r\n".join((b"GET /health HTTP/1.1", b"Host: localhost", *more, b"", b"")))
        answer = http.client.HTTPResponse(client)
        answer.begin()
        answer.read()
        return answer.status

    clinging = [socket.create_connection(address, timeout=60) for _ in range(5)]
    for client in clinging:
        assert ask(client, b"Connection: close") == 200
    began = time.monotonic()
    with socket.create_connection(address, timeout=60) as client:
        assert ask(client) == 200
    # One after the other, gunicorn would wait two seconds for each.
    assert time.monotonic() - began < 2 * len(clinging)
    for client in clinging:
        client.close()
