"""Orbit's API on a real port, on a way that can fail as networks and proxies do."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from django.db import connections
from django.test import Client

from tests.support.ports import free_port

#: Hang up: before the request arrives, after it without an answer, in the middle of the answer.
RESET, LOST, CUT = "reset", "lost", "cut"
#: Take the request, and say nothing until the client hangs up.
SILENT = "silent"
#: Or an answer of a proxy: status, headers and body.
Answer = tuple[int, Mapping[str, str], bytes]
Fault = str | Answer


class FaultyOrbit:
    """Listens inside ``with``. Each fault hits one call of its verb, the others reach Django."""

    def __init__(self, **faults: list[Fault]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        #: What is still to go wrong, by the last word of the path.
        self.faults = faults
        self.answered: Counter[str] = Counter()
        self.bodies: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Listen, again on the same port."""
        handler = type("Handler", (_Handler,), {"orbit": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = False  # they are joined: each has a database connection
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, verb: str, body: bytes) -> Fault | None:
        """Note a call; return its fault."""
        with self._lock:
            self.bodies.append((verb, body))
            faults = self.faults.get(verb)
            return faults.pop(0) if faults else None

    def note(self, verb: str) -> None:
        """Note that a call has its whole answer."""
        with self._lock:
            self.answered[verb] += 1


class _Handler(BaseHTTPRequestHandler):
    orbit: FaultyOrbit

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        verb = self.path.rpartition("/")[2]
        fault = self.orbit.take(verb, body)
        if fault == SILENT:
            self.rfile.read()
        elif fault == RESET:
            self._reset()
        elif isinstance(fault, tuple):
            self._answer(*fault)
        else:
            status, content_type, content = self._pass_on(body)
            if fault == LOST:
                self._reset()
            elif fault == CUT:
                self._answer(status, {"Content-Type": content_type}, content, cut=True)
                self._reset()
            else:
                self._answer(status, {"Content-Type": content_type}, content)
                self.orbit.note(verb)

    def _pass_on(self, body: bytes) -> tuple[int, str, bytes]:
        try:
            answer = Client(raise_request_exception=False).generic(
                "POST",
                self.path,
                body,
                content_type="application/json",
                headers={"Authorization": self.headers["Authorization"]},
            )
            return answer.status_code, answer["Content-Type"], answer.content
        finally:
            connections.close_all()

    def _answer(
        self, status: int, headers: Mapping[str, str], content: bytes, *, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.wfile.flush()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
