"""A receiver that records every request, and can hold it before reading or after processing.

It peeks at a request (MSG_PEEK), so a request that is held before reading is still in the socket.
The journal records when the first byte came, the content and the answer. The audit compares the
database with it.
"""

import hashlib
import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

BEFORE, AFTER = "before reading", "after processing"
LONGEST_HOLD = 120.0


@dataclass
class Entry:
    """One request. Times are Unix time; ``answered`` is None without an answer."""

    path: str
    key: str
    cycle: str
    attempt: int
    arrived: float
    sha256: str = ""
    processed: float | None = None
    answered: float | None = None
    status: int | None = None

    @property
    def tier(self) -> int:
        """The tier whose work this is, 0 for a delivery."""
        return int(self.path.removeprefix("/tier/")) if self.path.startswith("/tier/") else 0


Filter = Callable[[Entry], bool]


@dataclass
class Hold:
    """Requests that wait at the sink until their release."""

    where: str
    matches: Filter
    came: list[Entry] = field(default_factory=list)
    _passes: int = 0
    _open: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def release(self, count: int | None = None) -> None:
        """Let ``count`` waiting requests go on; by default all, and later ones too."""
        with self._changed:
            self._open = self._open or count is None
            self._passes += count or 0
            self._changed.notify_all()

    def wait(self, entry: Entry) -> None:
        """Hold ``entry``."""
        with self._changed:
            self.came.append(entry)
            self._changed.wait_for(lambda: self._open or self._passes > 0, LONGEST_HOLD)
            if not self._open and self._passes:
                self._passes -= 1


class Sink:
    """Listens on 127.0.0.1. ``status`` and ``delay`` (seconds) decide the answer to a request."""

    def __init__(self) -> None:
        self.journal: list[Entry] = []
        self.status: Callable[[Entry], int] = lambda entry: 200
        self.delay: Callable[[Entry], float] = lambda entry: 0.0
        self._holds: list[Hold] = []
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for hold in self._holds:
            hold.release()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    @contextmanager
    def hold(self, where: str, matches: Filter) -> Iterator[Hold]:
        """Hold the requests that ``matches`` selects, until released or the block ends."""
        hold = Hold(where, matches)
        self._holds.append(hold)
        try:
            yield hold
        finally:
            self._holds.remove(hold)
            hold.release()

    def deliveries(self) -> list[Entry]:
        """Return the requests that were deliveries."""
        return [entry for entry in list(self.journal) if not entry.tier]

    def write(self, path: Path) -> None:
        """Write the journal to ``path``, one line for each request."""
        path.write_text("".join(json.dumps(entry.__dict__) + "\n" for entry in list(self.journal)))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while (entry := _peek(connection)) is not None:
                with self._lock:
                    self.journal.append(entry)
                self._stop(BEFORE, entry)
                entry.sha256 = hashlib.sha256(_read(connection)).hexdigest()
                time.sleep(self.delay(entry))
                entry.processed = time.time()
                self._stop(AFTER, entry)
                status = self.status(entry)
                body = json.dumps({"key": entry.key, "tier": entry.tier}).encode()
                head = (
                    f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n"
                )
                connection.sendall(head.encode() + body)
                entry.status, entry.answered = status, time.time()

    def _stop(self, where: str, entry: Entry) -> None:
        for hold in list(self._holds):
            if hold.where == where and hold.matches(entry):
                hold.wait(entry)


def _peek(connection: socket.socket) -> Entry | None:
    """Return the next request without reading it, or None if the connection was closed."""
    select.select([connection], [], [])
    arrived, head = time.time(), b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65536, socket.MSG_PEEK)
        if len(more) <= len(head):
            if not more:
                return None
            time.sleep(0.001)
        head = more
    line, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return Entry(
        line.split()[1],
        headers.get("idempotency-key", ""),
        headers.get("x-orbit-cycle", ""),
        int(headers.get("x-orbit-attempt", 0)),
        arrived,
    )


def _read(connection: socket.socket) -> bytes:
    """Read a whole request and return its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    match = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    length = int(match[1]) if match else 0
    while len(body) < length:
        body += _receive(connection)
    return body


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError
    return data
