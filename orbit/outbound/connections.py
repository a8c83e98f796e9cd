"""Connections that go to a checked address, end at a deadline and never take half an answer for a whole one.

What plain ``http.client`` and urllib3 do otherwise, each seen: their time-out covers neither name resolution nor a head that drips
in byte by byte; a head that is cut off counts as a complete one; a ``103 Early Hints`` is taken for the final answer, so that the
next request on the connection gets this one's 200.
"""

import contextlib
import functools
import http.client
import io
import math
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from orbit.outbound import addresses

IDLE_SECONDS = 30.0
IDLE_CONNECTIONS = 32
# What it sets where it isn't told: it must know of these.
_SET_BY_URLLIB3 = frozenset(
    ("host", "user-agent", "accept-encoding", "content-length", "transfer-encoding")
)


class BadResponse(Exception):
    """The answer breaks HTTP so that it can't count."""


class Cut(Exception):
    """The connection ended inside the head of the answer."""


class ConnectFailed(Exception):
    """No permitted address took the connection in time."""


class Clock:
    """The limits of one request, and what became of it."""

    __slots__ = ("connect", "cut", "deadline", "read", "sent", "surplus")

    def __init__(self, connect: float, read: float, total: float) -> None:
        """Start the clock; all three are seconds."""
        self.connect, self.read = connect, read
        self.deadline = time.monotonic() + total
        self.sent = False  # whether a byte of the request may have left
        self.cut = ""  # why the body isn't whole, if it isn't
        self.surplus = False  # whether bytes came behind the answer

    def left(self, limit: float) -> float:
        """Return the seconds that one step may take: ``limit``, or what is left in total. Raises TimeoutError when nothing is."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the total deadline passed")
        return min(limit, left)


class _Source(io.RawIOBase):
    """The bytes of an answer, each read bounded by the clock. Inside the body an error is an end with ``clock.cut`` set: what came before it is kept."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._sock, self.clock = sock, clock
        self._raw = sock.makefile("rb", buffering=0)  # holds the socket open while this is
        self.in_head = True
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.ended:
            return 0
        try:
            self._sock.settimeout(self.clock.left(self.clock.read))
            return self._sock.recv_into(buffer)
        except OSError as error:
            if self.in_head:
                raise
            self.clock.cut = "timeout" if isinstance(error, TimeoutError) else "reset"
            return 0

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _Reader(io.BufferedReader):
    """Reads a head line by line and raises Cut where it ends too early; ``http.client`` would take the end for the empty line."""

    def __init__(self, source: _Source) -> None:
        super().__init__(source, 16384)
        self.source = source
        self._lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(-1 if size is None else size)
        if self.source.in_head:
            self._lines += 1
            if not line and self._lines > 1:
                raise Cut("the connection was closed inside the head of the answer")
        return line

    def close(self) -> None:
        """Note whether more had arrived than the answer: on the connection that would be the beginning of the next one."""
        if not self.closed:
            self.source.ended = True
            self.source.clock.surplus = bool(self.peek(1))
            super().close()


class _Door:
    """What ``http.client`` asks for a file and gets our reader from."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._sock, self._clock = sock, clock

    def makefile(self, mode: str) -> _Reader:
        return _Reader(_Source(self._sock, self._clock))


class _Response(http.client.HTTPResponse):
    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        clock: Clock,
    ) -> None:
        super().__init__(_Door(sock, clock), debuglevel, method, url)  # type: ignore[arg-type]  # it only calls makefile

    def begin(self) -> None:
        reader = self.fp
        super().begin()
        if isinstance(reader, _Reader):
            reader.source.in_head = False


class PlainConnection(HTTPConnection):
    """A connection over http. ``clock`` is set anew for each request."""

    plain = True

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        allowed: tuple[str, ...],
        clock: Clock,
        **options: Any,
    ) -> None:
        """``allowed`` is the operator's list of hosts, by which every address is judged before it is connected to."""
        super().__init__(host, port, **options)
        self.allowed, self.clock = allowed, clock
        self.used_at = 0.0
        self._held: list[bytes] | None = None
        self._lines = b""

    def _new_conn(self) -> socket.socket:
        clock, failure = self.clock, "no address"
        port = self.port or self.default_port
        until = time.monotonic() + clock.left(clock.connect)
        found = addresses.resolve(
            self._dns_host,
            port,
            self.allowed,
            plain=self.plain,
            timeout=min(addresses.RESOLVE_TIMEOUT, until - time.monotonic()),
        )
        for number, address in enumerate(found):
            # A dead first address must leave time for the others.
            share = (until - time.monotonic()) / (len(found) - number)
            if share <= 0:
                break
            # Not create_connection(): that asks the resolver again.
            sock = socket.socket(
                socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM
            )
            try:
                sock.settimeout(share)
                sock.connect((str(address), port))
            except OSError as error:
                sock.close()
                failure = f"{address} port {port}: {error.strerror or error or 'no answer in time'}"
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # What is left is for the TLS handshake, which the ssl module bounds as a whole.
            sock.settimeout(max(0.01, until - time.monotonic()))
            return sock
        raise ConnectFailed(f"no connection to {self.host}: {failure}")

    def deliver(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        """Send a whole request: head and body in one piece, which is one packet instead of two for most deliveries.

        ``headers`` are such as may be sent: the caller has checked them. So they are written as they are, but for those that urllib3 would
        add; its own way checks each of them four times over.
        """
        own = {name: value for name, value in headers.items() if name.lower() in _SET_BY_URLLIB3}
        self._lines = "\r\n".join(
            f"{name}: {value}" for name, value in headers.items() if name not in own
        ).encode("ascii")
        self._held = []
        try:
            self.request(
                method, target, body=body, headers=own, preload_content=False, decode_content=False
            )
            pieces = b"".join(self._held)
        finally:
            self._held, self._lines = None, b""
        self.send(pieces)

    def endheaders(self, *args: Any, **options: Any) -> None:
        """End the head with the headers that ``deliver`` was given."""
        if self._lines:
            self._output(self._lines)  # type: ignore[attr-defined]  # http.client's own way to add a line
        super().endheaders(*args, **options)

    def send(self, data: Any) -> None:
        """Send all of ``data`` within the clock's limits, connecting first where necessary."""
        if self._held is not None:
            self._held.append(data)
            return
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.clock.left(self.clock.read))
        self.clock.sent = True
        super().send(data)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        """Return the final answer, its head read and its body not. Raises BadResponse for one that can't be final, and then closes."""
        self.response_class = functools.partial(_Response, clock=self.clock)  # type: ignore[assignment]  # it is only called
        # Not urllib3's own: it parses the head once more, to log what it finds odd in it.
        found = http.client.HTTPConnection.getresponse(self)
        response = HTTPResponse(
            found,
            HTTPHeaderDict(found.msg.items()),
            found.status,
            found.version,
            reason=found.reason,
            preload_content=False,
            decode_content=False,
            original_response=found,
            request_method=self._method,  # type: ignore[attr-defined]  # http.client's
        )
        if not 200 <= response.status <= 599:
            self.close()
            raise BadResponse(f"the answer's status {response.status} can't be a final one")
        return response


class SecureConnection(PlainConnection, HTTPSConnection):
    """The same over TLS: certificate and name are checked against the host's name, whatever address it resolved to."""

    plain = False


@functools.lru_cache(maxsize=64)
def tls(ca_bundle: str | None) -> ssl.SSLContext:
    """Return the TLS settings of connections that trust ``ca_bundle``, or the public authorities; nothing is read from the environment.

    Raises OSError (ssl.SSLError is one) for a file that can't be read or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    return context


class Pool:
    """The idle connections to one host under one set of rules. Several threads may share it; it never waits."""

    def __init__(
        self,
        *,
        secure: bool,
        host: str,
        port: int | None,
        allowed: tuple[str, ...],
        ca_bundle: str | None,
    ) -> None:
        """Make a pool without a connection. Raises OSError as ``tls`` does."""
        self._secure, self._host, self._port, self._allowed = secure, host, port, allowed
        self._options: dict[str, Any] = {"ssl_context": tls(ca_bundle)} if secure else {}
        self._idle: deque[PlainConnection] = deque(maxlen=IDLE_CONNECTIONS)
        self.used_at = time.monotonic()

    def take(self, clock: Clock) -> PlainConnection:
        """Return the connection used last if it is fresh and silent, else an unconnected one."""
        self.used_at = time.monotonic()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            # Whatever arrived unasked, be it an end or forged bytes, makes a connection unfit.
            if time.monotonic() - connection.used_at < IDLE_SECONDS and connection.is_connected:
                connection.clock = clock
                return connection
            discard(connection)
        kind = SecureConnection if self._secure else PlainConnection
        return kind(self._host, self._port, allowed=self._allowed, clock=clock, **self._options)

    def give_back(self, connection: PlainConnection) -> None:
        """Keep a connection whose answer was read to its end."""
        connection.used_at = time.monotonic()
        self._idle.append(connection)

    def __len__(self) -> int:
        """Return how many connections are idle."""
        return len(self._idle)

    def close(self, *, before: float = math.inf) -> None:
        """Close what is idle and was last used before that moment, by the monotonic clock."""
        with contextlib.suppress(IndexError):  # another thread was quicker
            # The one that waits longest stands first.
            while self._idle and self._idle[0].used_at < before:
                connection = self._idle.popleft()
                if connection.used_at >= before:
                    self._idle.append(connection)
                    return
                discard(connection)


def discard(connection: PlainConnection) -> None:
    """Close a connection, whatever state it is in."""
    try:
        connection.close()
    except (OSError, HTTPError, ValueError):
        # The descriptor is gone all the same.
        return
