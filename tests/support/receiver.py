"""A loopback receiver that can misbehave."""

import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.polling import LIMIT_SECONDS

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Received:
    """One request; header names are lower case."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


Answer = bytes | Callable[[socket.socket], None]


class Receiver:
    """Listens inside ``with``; the last of ``answers`` repeats."""

    def __init__(
        self,
        *answers: Answer,
        tls: ssl.SSLContext | None = None,
        greeting: Answer | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._answers, self._tls, self._greeting = answers or (OK,), tls, greeting
        self._host, self._lock = host, threading.Lock()
        self._server = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def hung_up(self, seconds: float) -> bool:
        """Tell whether the client closes its first connection in ``seconds``."""
        ends = time.monotonic() + seconds
        while self._open[0].fileno() >= 0 and time.monotonic() < ends:
            time.sleep(0.01)
        return self._open[0].fileno() < 0

    def stop(self) -> None:
        for sock in [self._server, *self._open]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            if self._greeting:
                act(sock, self._greeting)
            while received := _read(sock, number):
                with self._lock:  # no two requests get the same answer
                    answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
                    self.requests.append(received)
                act(sock, answer)
        except OSError:
            return
        finally:
            sock.close()


def act(sock: socket.socket, answer: Answer) -> None:
    if isinstance(answer, bytes):
        sock.sendall(answer)
    else:
        answer(sock)


def close(sock: socket.socket) -> None:
    """Close without an answer."""
    sock.shutdown(socket.SHUT_RDWR)


def reset(sock: socket.socket) -> None:
    """Break the connection with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def silent(sock: socket.socket) -> None:
    """Don't answer until the client closes, for a minute at most."""
    poll = select.poll()
    with suppress(ValueError):  # it was closed just now
        poll.register(sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        poll.poll(LIMIT_SECONDS * 1000)


def dripping(start: bytes, piece: bytes, *, every: float = 0.05) -> Callable[[socket.socket], None]:
    """Send ``start``, then repeat ``piece`` until the client closes."""

    def drip(sock: socket.socket) -> None:
        sock.sendall(start)
        ends = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < ends:
            sock.sendall(piece)
            time.sleep(every)
        close(sock)

    return drip


def then(*steps: bytes | Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """Do ``steps`` in turn."""

    def do(sock: socket.socket) -> None:
        for step in steps:
            act(sock, step)

    return do


def http(status: str, body: bytes = b"", headers: Iterable[str] = ()) -> bytes:
    """Return a whole answer."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _read(sock: socket.socket, number: int) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    length = int(re.sub(r"\D", "", headers.get("content-length", "0")) or 0)
    while len(body) < length:
        piece = sock.recv(65536)
        if not piece:
            return None
        body += piece
    return Received(line, headers, body, number)
