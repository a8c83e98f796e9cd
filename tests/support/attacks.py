"""Clients that try to take the web server away from everybody else."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

Address = tuple[str, int]
HEAD = b"POST /cycles/trigger HTTP/1.1\r\nHost: localhost\r\n"


@contextmanager
def half_open(address: Address, start: bytes, count: int = 80) -> Iterator[None]:
    """Connections that send ``start`` and then, now and then, a byte."""
    held = [socket.create_connection(address, timeout=60) for _ in range(count)]
    ended = threading.Event()

    def dribble() -> None:
        while not ended.wait(1):
            for client in held:
                with suppress(OSError):
                    client.sendall(b"a")

    for client in held:
        client.sendall(start)
    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for client in held:
            client.close()


@contextmanager
def slow_readers(address: Address, request: bytes, count: int) -> Iterator[list[socket.socket]]:
    """Clients that ask for something large and take nothing of it."""
    held = []
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.sendall(request)
        held.append(client)
    try:
        yield held
    finally:
        for client in held:
            client.close()


@contextmanager
def locked_table(dsn: str, table: str) -> Iterator[None]:
    """A lock that everything waits for."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@contextmanager
def flood(
    address: Address,
    count: int,
    ask: Callable[[http.client.HTTPConnection], None],
    *,
    patience: float = 60,
) -> Iterator[list[tuple[int, dict[str, str]]]]:
    """Clients that ask again and again; each gives up after ``patience`` seconds, and asks anew.

    Yields the answers so far, each a status and headers (in lower case).
    """
    answers: list[tuple[int, dict[str, str]]] = []
    ended = threading.Event()

    def client() -> None:
        while not ended.is_set():
            connection = http.client.HTTPConnection(*address, timeout=patience)
            with suppress(OSError, http.client.HTTPException):
                ask(connection)
                answer = connection.getresponse()
                answer.read()
                headers = {name.lower(): value for name, value in answer.getheaders()}
                answers.append((answer.status, headers))
            connection.close()

    threads = [threading.Thread(target=client, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for thread in threads:
            thread.join(patience + 60)
