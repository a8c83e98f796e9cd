"""kill -TERM on the web server loses no request: whoever got a connection gets an answer, whoever comes later gets none."""

import contextlib
import http.client
import os
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
from orbit_site.processes.web import THREADS
from tests.support.web_server import start, wait_until_it_serves

pytestmark = pytest.mark.processes
ASK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
SAID = Counter[str]


@pytest.fixture
def address(variables: dict[str, str]) -> Iterator[tuple[str, int]]:
    """A running web server's address; ``term`` in it asks for the drain."""
    process = start(variables)
    wait_until_it_serves(variables, process)
    here = ("127.0.0.1", int(variables["PORT"]))
    running[here] = process.pid
    try:
        yield here
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=40)
    assert (process.returncode, "Traceback" in said) == (0, False), said


running: dict[tuple[str, int], int] = {}


def master(address: tuple[str, int]) -> psutil.Process:
    return psutil.Process(running[address])


def answer(client: socket.socket) -> int:
    """Return the status of one whole answer."""
    response = http.client.HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


def each_time_anew(address: tuple[str, int], said: SAID) -> None:
    """Connect, ask, read, again and again, until nobody lets us in."""
    while True:
        try:
            client = socket.create_connection(address, timeout=20)
        except OSError:
            said["refused"] += 1
            return
        with client:
            try:
                client.sendall(ASK)
                said[str(answer(client))] += 1
            except (OSError, http.client.HTTPException) as error:
                said[f"lost: {error!r}"] += 1


def on_one_connection(address: tuple[str, int], said: SAID) -> None:
    """Ask again and again on one connection, until an answer says that it was the last one."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    last = False
    while not last:
        try:
            connection.request("GET", "/health")
            response = connection.getresponse()
            response.read()
            last = response.will_close
            said[str(response.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            said[f"lost: {error!r}"] += 1
            return
        time.sleep(0.01)


def crowd(
    *kinds: Callable[[tuple[str, int], SAID], None], address: tuple[str, int], said: SAID
) -> list[threading.Thread]:
    threads = [threading.Thread(target=kind, args=(address, said), daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    return threads


def test_of_many_clients_none_loses_a_request_when_the_server_is_asked_to_end(
    address: tuple[str, int],
) -> None:
    said: SAID = Counter()
    threads = crowd(*[each_time_anew] * 12, *[on_one_connection] * 12, address=address, said=said)
    time.sleep(0.5)
    master(address).terminate()
    for thread in threads:
        thread.join(30)
    assert not [line for line in said if line.startswith("lost")], said
    assert said["refused"] == 12
    assert said["200"] > 24


def test_whom_the_kernel_has_let_in_is_answered_though_the_worker_had_not_seen_them(
    address: tuple[str, int],
) -> None:
    (worker,) = master(address).children()
    worker.suspend()
    waiting = [socket.create_connection(address, timeout=20) for _ in range(24)]
    for client in waiting[:16]:
        client.sendall(ASK)
    master(address).terminate()
    time.sleep(0.3)
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
        waiting = [socket.create_connection(address, timeout=20) for _ in range(THREADS + 4)]
        for client in waiting:
            client.sendall(ASK.replace(b"/health", b"/ready"))
        time.sleep(0.5)
        master(address).terminate()
        assert sum(1 for client in waiting if answer(client) in {200, 503}) == THREADS + 4
        owner.rollback()
    for client in waiting:
        client.close()


def test_who_neither_asks_nor_hangs_up_holds_nobody(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address, timeout=20) for _ in range(6)]
    time.sleep(5.5)  # they have left the threads and wait beside them
    lingering = [socket.create_connection(address, timeout=20) for _ in range(6)]
    for client in lingering:
        client.sendall(ASK)
        assert answer(client) == 200
    time.sleep(0.2)
    master(address).terminate()
    began = time.monotonic()
    psutil.wait_procs(
        [psutil.Process(pid) for pid in psutil.pids() if pid == running[address]], timeout=30
    )
    assert time.monotonic() - began < 6
    for client in (*silent, *lingering):
        client.close()


def test_signals_while_it_drains_cut_nothing_off_and_change_no_exit_code(
    address: tuple[str, int],
) -> None:
    process = master(address)
    with socket.create_connection(address, timeout=20) as slow:
        slow.sendall(ASK[:-2])
        time.sleep(0.3)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        slow.sendall(b"\r\n")
        assert answer(slow) == 200
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:  # the fixture looks at the exit code
            process.send_signal(signal.SIGTERM)
