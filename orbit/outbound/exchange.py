"""A request on a live connection that needs no thread to wait for its answer.

``begin`` writes the request to an idle connection and returns at once. The caller polls all its
exchanges together, and calls ``read`` on those that have something to read. It takes an ordinary
answer: a whole 2xx of a known length. Anything else is left to ``finish``, which reads on as
``client.send`` does, with all its checks. It blocks, so call it in a sender's thread.

New connections are made by ``client.send`` only: it resolves names, checks addresses, and does the
TLS handshake.
"""

import functools
import re
import ssl
import time
from collections.abc import Mapping

from orbit.outbound import client, transport
from orbit.outbound.client import Request, Response
from orbit.outbound.connections import Clock, PlainConnection, discard
from orbit.outbound.pools import Pool

# A longer request is written by a thread, and a longer answer read by one.
LONGEST_REQUEST, LONGEST_ANSWER = 65536, 16384
# The first read after a time-out: long enough for what is there already.
_NO_TIME = 0.001
_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_METHODS = {"POST", "PUT", "PATCH", "DELETE"}
# The caller may set these only through ``client.send``.
_FRAMING = {"host", "content-length", "transfer-encoding", "connection"}
# No obsolete folding, no space before a colon, no byte outside ASCII.
_HEAD = re.compile(
    rb"HTTP/1\.1 (2[0-9]{2})(?: [\t\x20-\x7e]*)?"
    rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*)*)\r\n\r\n"
)
_BEGINS = b"HTTP/1.1 2"
_LENGTH = re.compile(rb"[0-9]{1,5}")
_MOST_HEADERS = 100


class Exchange:
    """A request that was written, and its answer so far."""

    def __init__(
        self, request: Request, pool: Pool, connection: PlainConnection, clock: Clock, unsent: bytes
    ) -> None:
        self._request, self._pool, self._connection = request, pool, connection
        self._clock, self._unsent = clock, unsent
        self._started = self._heard_at = time.monotonic()
        self._data = b""
        #: Milliseconds until the head was there.
        self._latency: float | None = None
        self._failure: OSError | None = None
        #: What ``read`` has no answer for: call ``finish``.
        self.is_unusual = False

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._connection.sock.fileno()

    @property
    def due(self) -> float:
        """When to call ``finish`` if nothing arrives (monotonic seconds)."""
        return min(self._clock.deadline, self._heard_at + self._clock.read)

    def write(self) -> None:
        """Write the request, as much as the socket takes."""
        sock = self._connection.sock
        if sock.gettimeout() != 0:  # setting it again would be a system call
            sock.settimeout(0)
        self._clock.sent = True
        try:
            self._unsent = self._unsent[sock.send(self._unsent) :]
        except _BLOCKED:
            pass
        except OSError as error:
            # A receiver may respond 413 and stop reading: that response counts.
            self._failure = error
        self.is_unusual = bool(self._unsent)

    def read(self) -> Response | None:
        """Return an ordinary answer once it is whole. None: poll again, or ``finish``."""
        try:
            piece = self._connection.sock.recv(LONGEST_ANSWER)
        except _BLOCKED:
            return None
        except OSError as error:
            self._failure, self.is_unusual = error, True
            return None
        self._heard_at = time.monotonic()
        self._data += piece
        if not piece:
            self.is_unusual = True
            return None
        head = _HEAD.match(self._data)
        if head is None:
            self.is_unusual = not _may_become_ordinary(self._data)
            return None
        if self._latency is None:
            self._latency = client.since(self._started)
        status, headers = int(head[1]), _headers(head[2])
        length = _length(status, headers)
        if headers is None or length is None:
            self.is_unusual = True
            return None
        if len(self._data) < head.end() + length:
            return None
        return self._end(status, headers, head.end(), length)

    def _end(self, status: int, headers: Mapping[str, str], start: int, length: int) -> Response:
        # More bytes than the answer has would be read by the next request.
        if len(self._data) == start + length and not _pending(self._connection):
            self._pool.give_back(self._connection)
        else:
            discard(self._connection)
        body = self._data[start : start + length]
        return client.response_of(
            status, headers, body, request=self._request, latency=self._latency or 0.0
        )

    def finish(self) -> Response:
        """Do what is left as ``client.send`` does, in the same time; never raises."""
        connection, clock = self._connection, self._clock
        if time.monotonic() >= self.due:
            clock.read = _NO_TIME
            self._take_what_is_there()
        try:
            raw = connection.answer(self._request.method, self._data, self._write_rest())
            latency = self._latency or client.since(self._started)
            lease = transport.Lease(self._pool, connection, usable=not self._unsent)
            return client.received(raw, lease, self._request, clock, latency=latency)
        except Exception as error:  # the caller records an outcome, whatever happened
            discard(connection)
            return client.failed(error, clock, self._started)

    def _take_what_is_there(self) -> None:
        """Read what arrived unseen: it counts, also after the deadline."""
        try:
            while len(self._data) <= client.LIMIT and self._failure is None:
                piece = self._connection.sock.recv(LONGEST_ANSWER)
                if not piece:
                    break
                self._data += piece
        except _BLOCKED:
            return
        except OSError as error:
            self._failure = error

    def _write_rest(self) -> OSError | None:
        """Write what is unsent. Return the error that reading met before. Raises OSError."""
        if not self._unsent:
            return self._failure
        try:
            if self._failure is not None:
                raise self._failure
            self._connection.send(self._unsent)
            self._unsent = b""
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            if not self._data and self._connection.is_connected:  # nothing to read
                raise
        return None


def begin(request: Request, *, allowed: tuple[str, ...]) -> Exchange | None:
    """Write ``request`` to a live connection; never raises.

    None: there is none, or it isn't an ordinary request. Nothing was sent, so ``client.send`` it.
    """
    clock = Clock(request.connect_timeout, request.read_timeout, request.total_timeout)
    try:
        data = _written(request, allowed)
        if data is None:
            return None
        pool = transport.adapter.pool(request.url, allowed, request.ca_bundle)
        connection = pool.live(clock)
    except Exception:  # client.send reports the same error
        return None
    if connection is None:
        return None
    exchange = Exchange(request, pool, connection, clock, data)
    exchange.write()
    return exchange


def _written(request: Request, allowed: tuple[str, ...]) -> bytes | None:
    """Return an ordinary request as bytes."""
    if request.method not in _METHODS or len(request.body) > LONGEST_REQUEST:
        return None
    start = _start(request.method, request.url, allowed, tuple(request.headers))
    # All values at once: together, unusual ones are too long for this way.
    if start is None or not client.is_sendable_value("".join(request.headers.values())):
        return None
    lines = [start, *[f"{name}: {value}" for name, value in request.headers.items()]]
    lines.append(f"Content-Length: {len(request.body)}\r\n\r\n")
    return "\r\n".join(lines).encode("ascii") + request.body


@functools.lru_cache(maxsize=256)
def _start(method: str, url: str, allowed: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    """Return the lines that all requests to ``url`` with headers of these names begin with.

    None: a name isn't ordinary. Raises Refused.
    """
    if not all(client.is_name(name) and name.lower() not in _FRAMING for name in names):
        return None
    parts = transport.checked(url, allowed)
    target = client.target(method, url, allowed)
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host}]"
    standard = 80 if parts.scheme == "http" else 443
    port = "" if parts.port in (None, standard) else f":{parts.port}"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}{port}"]
    lines += [f"{name}: {value}" for name, value in client.missing_defaults(names).items()]
    return "\r\n".join(lines)


def _may_become_ordinary(data: bytes) -> bool:
    """Return whether an ordinary answer may begin like this."""
    return (
        data.startswith(_BEGINS[: len(data)])
        and b"\r\n\r\n" not in data
        and data.count(b"\n") == data.count(b"\r\n")
        and len(data) <= LONGEST_ANSWER
    )


def _headers(lines: bytes) -> dict[str, str] | None:
    """Return headers by lower-case name; None if one is there twice, or too many are."""
    pairs = [line.partition(":") for line in lines.decode("ascii").split("\r\n")[1:]]
    headers = {name.lower(): value.strip(" \t") for name, _, value in pairs}
    return headers if len(headers) == len(pairs) <= _MOST_HEADERS else None


def _length(status: int, headers: Mapping[str, str] | None) -> int | None:
    """Return the length of a body that is framed by it alone."""
    if headers is None or "transfer-encoding" in headers:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    text = headers.get("content-length", "0" if status == 204 else "")
    if not _LENGTH.fullmatch(text.encode()):
        return None
    length = int(text)
    return length if length <= LONGEST_ANSWER and not (length and status == 204) else None


def _pending(connection: PlainConnection) -> bool:
    """Return whether decrypted bytes wait in a TLS connection."""
    return isinstance(connection.sock, ssl.SSLSocket) and connection.sock.pending() > 0
