"""SIGTERM to the web server loses no accepted connection and refuses later ones."""

import http.client
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import psutil
import psycopg
import pytest

from orbit_site.processes.postgres import Server
from tests.support import processes
from tests.support.polling import until
from tests.support.web_server import start, wait_until_it_serves

pytestmark = pytest.mark.processes
#: More than any pool has threads.
MANY = 12
ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
Outcomes = Counter[str]


@pytest.fixture
def address(variables: dict[str, str]) -> Iterator[tuple[str, int]]:
    """The address of a running web server; ``term`` drains it."""
    process = start(variables)
    wait_until_it_serves(variables, process)
    here = ("127.0.0.1", int(variables["PORT"]))
    running[here] = process.pid
    try:
        yield here
    finally:
        processes.kill_group(process.pid, signal.SIGTERM)
        outcomes, _ = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in outcomes) == (0, False), outcomes


running: dict[tuple[str, int], int] = {}


def master(address: tuple[str, int]) -> psutil.Process:
    return psutil.Process(running[address])


def answer(client: socket.socket) -> int:
    """Return the status of one whole answer."""
    response = http.client.HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


def each_time_anew(address: tuple[str, int], outcomes: Outcomes) -> None:
    """Send requests, each on a new connection, until one is refused."""
    while True:
        try:
            client = socket.create_connection(address, timeout=60)
        except OSError:
            outcomes["refused"] += 1
            return
        with client:
            try:
                client.sendall(ASK)
                outcomes[str(answer(client))] += 1
            except (OSError, http.client.HTTPException) as error:
                outcomes[f"lost: {error!r}"] += 1


def on_one_connection(address: tuple[str, int], outcomes: Outcomes) -> None:
    """Send requests on one connection until it is closed."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    last = False
    while not last:
        try:
            connection.request("GET", "/health")
            response = connection.getresponse()
            response.read()
            last = response.will_close
            outcomes[str(response.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            outcomes[f"lost: {error!r}"] += 1
            return
        time.sleep(0.01)


def crowd(
    *kinds: Callable[[tuple[str, int], Outcomes], None],
    address: tuple[str, int],
    outcomes: Outcomes,
) -> list[threading.Thread]:
    threads = [
        threading.Thread(target=kind, args=(address, outcomes), daemon=True) for kind in kinds
    ]
    for thread in threads:
        thread.start()
    return threads


def test_of_many_clients_none_loses_a_request_when_the_server_is_asked_to_end(
    address: tuple[str, int],
) -> None:
    outcomes: Outcomes = Counter()
    threads = crowd(
        *[each_time_anew] * 12, *[on_one_connection] * 12, address=address, outcomes=outcomes
    )
    time.sleep(0.5)
    master(address).terminate()
    for thread in threads:
        thread.join(60)
    assert not [line for line in outcomes if line.startswith("lost")], outcomes
    assert outcomes["refused"] == 12
    assert outcomes["200"] > 24


def test_connections_in_the_kernels_backlog_are_answered(
    address: tuple[str, int],
) -> None:
    workers = processes.children(master(address).pid)
    for worker in workers:
        worker.suspend()
    waiting = [socket.create_connection(address, timeout=60) for _ in range(24)]
    for client in waiting[:16]:
        client.sendall(ASK)
    master(address).terminate()
    time.sleep(0.3)
    for worker in workers:
        worker.resume()
    time.sleep(0.1)
    for client in waiting[16:]:
        client.sendall(ASK)  # connected before, asked after
    assert Counter(answer(client) for client in waiting) == {200: 24}
    for client in waiting:
        client.close()


def test_more_requests_than_threads_are_all_answered(
    address: tuple[str, int],
    variables: dict[str, str],
    server: Server,
) -> None:
    with psycopg.connect(variables["ORBIT_OWNER_DATABASE_URL"]) as owner:
        owner.execute(
            "LOCK TABLE orbit_appliedfiles IN ACCESS EXCLUSIVE MODE"
        )  # /ready waits for it, three seconds long
        waiting = [socket.create_connection(address, timeout=60) for _ in range(MANY)]
        for client in waiting:
            client.sendall(ASK.replace(b"/health", b"/ready"))
        time.sleep(0.5)
        master(address).terminate()
        assert sum(1 for client in waiting if answer(client) in {200, 503}) == MANY
        owner.rollback()
    for client in waiting:
        client.close()


def test_idle_connections_do_not_hold_the_drain(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address, timeout=60) for _ in range(6)]
    time.sleep(5.5)  # they have left the threads and wait beside them
    lingering = [socket.create_connection(address, timeout=60) for _ in range(6)]
    for client in lingering:
        client.sendall(ASK)
        assert answer(client) == 200
    time.sleep(0.2)
    master(address).terminate()
    # Long before the drain's time is over, which is 100 seconds here.
    process = master(address)
    until(lambda: not processes.lives(process), "idle connections hold the drain")
    for client in (*silent, *lingering):
        client.close()


def test_more_signals_during_a_drain_change_nothing(
    address: tuple[str, int],
) -> None:
    process = master(address)
    with socket.create_connection(address, timeout=60) as slow:
        slow.sendall(ASK[:-2])
        time.sleep(0.3)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        slow.sendall(b"\r\n")
        assert answer(slow) == 200
    while processes.lives(process):  # the fixture looks at the exit code
        processes.kill(process.pid, signal.SIGTERM)
