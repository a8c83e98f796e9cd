import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import psutil
import psycopg
import pytest

from tests.support import processes
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.web_server import start, wait_until_it_serves

pytestmark = [pytest.mark.processes, pytest.mark.slow]
KEEP_ALIVE = 8


@pytest.fixture(scope="module")
def address(web_database: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The address of a running web server."""
    keep_alive = {"ORBIT_KEEP_ALIVE_SECONDS": str(KEEP_ALIVE)}
    here = {**web_database, **keep_alive, "PORT": str(free_port())}
    process = start(here)
    wait_until_it_serves(here, process)
    try:
        yield "127.0.0.1", int(here["PORT"])
    finally:
        processes.kill_group(process.pid, signal.SIGTERM)
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
        processes.kill_group(process.pid, number)
        time.sleep(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=60)
        slow.sendall(b"\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def test_its_processes_are_as_many_as_asked_and_die_with_a_parent_that_was_killed(
    variables: dict[str, str],
) -> None:
    process = start({**variables, "ORBIT_WEB_WORKERS": "3"})
    wait_until_it_serves(variables, process)
    # It serves as soon as the first of them does.
    children = until(partial(_workers, process.pid, 3), "there aren't three processes")
    process.kill()
    process.communicate()
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if processes.lives(child)]


def test_a_process_that_is_killed_or_stuck_is_replaced_and_the_others_answer_meanwhile(
    variables: dict[str, str],
) -> None:
    process = start(variables)
    wait_until_it_serves(variables, process)
    workers = partial(_workers, process.pid, 2)
    try:
        killed, stuck = until(workers, "there aren't two processes")
        killed.kill()
        for _ in range(20):
            _ask(variables)
        until(lambda: killed not in (workers() or [killed]), "the killed one is not replaced")
        stuck.suspend()  # its heartbeat ends: it is killed after a while
        until(lambda: stuck not in (workers() or [stuck]), "the stuck one is not replaced")
        wait_until_it_serves(variables, process)
    finally:
        processes.kill_group(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert "ended and is replaced" in output
    assert "gave no heartbeat" in output
    assert process.returncode == 0


def test_a_restart_answers_every_request_that_was_accepted(variables: dict[str, str]) -> None:
    process = start(variables)
    wait_until_it_serves(variables, process)
    ended = threading.Event()
    outcomes: list[object] = []

    def client() -> None:
        while not ended.is_set():
            try:
                outcomes.append(_ask(variables))
            except ConnectionRefusedError:
                outcomes.append("refused")  # a proxy sends it elsewhere
                time.sleep(0.05)
            except (OSError, http.client.HTTPException) as error:
                outcomes.append(repr(error))

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    until(lambda: len(outcomes) > 50)
    process.terminate()
    process.communicate(timeout=60)
    again = start(variables)
    wait_until_it_serves(variables, again)
    served = len(outcomes)
    until(lambda: len(outcomes) > served + 50)
    ended.set()
    for thread in clients:
        thread.join()
    again.terminate()
    again.communicate(timeout=60)
    assert set(outcomes) <= {200, "refused"}


def _ask(variables: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(variables["PORT"]), timeout=60)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _workers(pid: int, number: int) -> list[psutil.Process] | None:
    """Return the children of the web server ``pid`` while there are ``number``."""
    children = processes.children(pid)
    return children if len(children) == number else None


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


def test_a_request_that_is_too_long_is_answered_as_a_problem(address: tuple[str, int]) -> None:
    for request, status in (
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 99000 + b"\r\n\r\n", 431),
    ):
        answer = _send(address, request)
        assert (answer.status, answer.headers["Content-Type"]) == (
            status,
            "application/problem+json",
        )
        assert json.loads(answer.read())["code"] == "bad_request"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NO REQUEST AT ALL\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 990_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused_by_the_server_itself_without_a_body(
    address: tuple[str, int], request_bytes: bytes, status: int
) -> None:
    answer = _send(address, request_bytes)
    assert (answer.status, answer.read()) == (status, b"")


def _send(address: tuple[str, int], request: bytes) -> http.client.HTTPResponse:
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(request)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        return answer


def test_an_idle_connection_stays_for_as_long_as_the_variable_says(
    address: tuple[str, int],
) -> None:
    with socket.create_connection(address, timeout=60) as client:
        for wait in (0, KEEP_ALIVE / 2):
            time.sleep(wait)
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.read()) == (200, b'{"status": "ok"}')
        assert client.recv(1) == b""  # and is closed then


def test_head_has_the_length_of_get_and_no_body(address: tuple[str, int]) -> None:
    lengths = []
    for method in ("GET", "HEAD"):
        connection = http.client.HTTPConnection(*address, timeout=60)
        connection.request(method, "/admin/login/", headers={"Host": "localhost"})
        answer = connection.getresponse()
        body = answer.read()
        assert (answer.status, bool(body)) == (200, method == "GET")
        lengths.append(answer.headers["Content-Length"])
        connection.close()
    assert lengths[0] == lengths[1] != "0"


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
    assert time.monotonic() - began < 2 * len(clinging)
    for client in clinging:
        client.close()
