"""Connections to checked addresses that never accept half a response.

The time-outs of ``http.client`` and urllib3 cover neither name resolution nor a head that arrives
byte by byte.
"""

import functools
import http.client
import io
import select
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPHeaderDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from orbit.outbound import addresses

# Interim answers (RFC 9110, section 15.2) before the final one: how many, and their bytes together.
MOST_INTERIM, INTERIM_BYTES = 16, 65536
_SWITCHING = 101
# Headers that urllib3 adds by default; list them so that ours replace them.
_SET_BY_URLLIB3 = frozenset(
    ("host", "user-agent", "accept-encoding", "content-length", "transfer-encoding")
)


class BadResponse(Exception):
    """The response violates HTTP and can't be used."""


class Truncated(Exception):
    """The connection was closed inside the head of the response."""


class ConnectFailed(Exception):
    """No allowed address accepted the connection in time."""


class Clock:
    """A request's time limits, and what was observed of it."""

    __slots__ = ("connect", "cut", "deadline", "read", "sent", "surplus")

    def __init__(self, connect: float, read: float, total: float) -> None:
        """Start the clock; limits in seconds."""
        self.connect, self.read = connect, read
        self.deadline = time.monotonic() + total
        self.sent = False  # whether a byte of the request may have left
        self.cut = ""  # why the body isn't whole, if it isn't
        self.surplus = False  # whether more bytes arrived than the response

    def left(self, limit: float) -> float:
        """Return the seconds that a step may take. Raises TimeoutError if none."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the total deadline passed")
        return min(limit, left)


class _Source(io.RawIOBase):
    """The bytes of a response; the clock bounds each read."""

    def __init__(self, wire: "_Wire") -> None:
        self.wire, self.clock = wire, wire.clock
        self._raw = wire.sock.makefile("rb", buffering=0)  # keeps the socket open
        self.in_head = True
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.ended:
            return 0
        if self.wire.data:
            piece = self.wire.data[: len(buffer)]
            self.wire.data = self.wire.data[len(piece) :]
            buffer[: len(piece)] = piece
            return len(piece)
        try:
            if self.wire.failure is not None:
                raise self.wire.failure
            self.wire.sock.settimeout(self.clock.left(self.clock.read))
            return self.wire.sock.recv_into(buffer)
        except OSError as error:
            if self.in_head:
                raise
            # Inside the body an error ends the stream: what arrived is kept.
            self.clock.cut = "timeout" if isinstance(error, TimeoutError) else "reset"
            return 0

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _Reader(io.BufferedReader):
    """Reads a head by lines."""

    def __init__(self, source: _Source) -> None:
        super().__init__(source, 16384)
        self.source = source
        self.bytes = 0  # of the lines
        self._lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(-1 if size is None else size)
        self.bytes += len(line)
        if self.source.in_head:
            self._lines += 1
            # http.client would take the end of the stream for the end of the head.
            if not line and self._lines > 1:
                raise Truncated("the connection was closed inside the head of the response")
        return line

    def close(self) -> None:
        if not self.closed:
            self.source.ended = True
            # Surplus bytes would be read by the next request.
            self.source.clock.surplus = bool(self.peek(1) or self.source.wire.data)
            super().close()


@dataclass(slots=True)
class _Wire:
    """Gives ``http.client`` our reader when it calls ``makefile``."""

    sock: socket.socket
    clock: Clock
    # What was read of the response already, and the error behind it.
    data: bytes = b""
    failure: OSError | None = None

    def makefile(self, mode: str) -> _Reader:
        return _Reader(_Source(self))


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
        # It only calls makefile.
        super().__init__(_Wire(sock, clock), debuglevel, method, url)  # type: ignore[arg-type]

    def begin(self) -> None:
        reader = self.fp
        super().begin()
        if isinstance(reader, _Reader):
            reader.source.in_head = False

    def _read_status(self) -> tuple[str, int, str]:
        """Return the final answer's status line. Raises BadResponse."""
        reader: Any = self.fp
        for _ in range(MOST_INTERIM + 1):
            # http.client's own way to read one; it reads past 100 only.
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 <= line[1] < 200 or line[1] == _SWITCHING:
                return line
            while reader.readline(INTERIM_BYTES + 1) not in (b"\r\n", b"\n"):
                if reader.bytes > INTERIM_BYTES:
                    raise BadResponse(f"interim answers are longer than {INTERIM_BYTES} bytes")
        raise BadResponse(f"more than {MOST_INTERIM} interim answers came before a final one")


class PlainConnection(HTTPConnection):
    """A connection over http. Each request sets its own ``clock``."""

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
        """``allowed`` is the operator's list of hosts."""
        super().__init__(host, port, **options)
        self.allowed, self.clock = allowed, clock
        self.used_at = 0.0
        self._arrivals = select.poll()
        self._held: list[bytes] | None = None
        self._lines = b""

    @property
    def is_connected(self) -> bool:
        """Whether it is open, and nothing arrived that wasn't read."""
        # As urllib3's own, which makes a poll object for each look.
        return self.sock is not None and not self._arrivals.poll(0)

    def _new_conn(self) -> socket.socket:
        clock, failure = self.clock, "no address"
        port = self.port or self.default_port
        until = time.monotonic() + clock.left(clock.connect)
        resolved = addresses.resolve(
            self._dns_host,
            port,
            self.allowed,
            plain=self.plain,
            timeout=min(addresses.RESOLVE_TIMEOUT, until - time.monotonic()),
        )
        for number, address in enumerate(resolved):
            # A dead address must leave time for the next ones.
            share = (until - time.monotonic()) / (len(resolved) - number)
            if share <= 0:
                break
            # Not create_connection(): it would resolve the name again.
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
            self._arrivals = select.poll()  # TLS keeps the descriptor
            self._arrivals.register(sock, select.POLLIN)
            # The rest is for the TLS handshake, whose total the ssl module bounds.
            sock.settimeout(max(0.01, until - time.monotonic()))
            return sock
        raise ConnectFailed(f"no connection to {self.host}: {failure}")

    def deliver(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        """Send a whole request; the caller has checked ``headers``."""
        # urllib3 checks each header four times, so it gets only those that it would add itself.
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
        self.send(pieces)  # head and body together: usually one packet instead of two

    def endheaders(self, *args: Any, **options: Any) -> None:
        """End the head with the headers of ``deliver``."""
        if self._lines:
            # http.client's own way to add a line.
            self._output(self._lines)  # type: ignore[attr-defined]
        super().endheaders(*args, **options)

    def send(self, data: Any) -> None:
        """Send ``data`` within the clock's limits; connect first if necessary."""
        if self._held is not None:
            self._held.append(data)
            return
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.clock.left(self.clock.read))
        self.clock.sent = True
        super().send(data)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        """Return the final response with its head read. Raises BadResponse."""
        # It is only called.
        self.response_class = functools.partial(_Response, clock=self.clock)  # type: ignore[assignment]
        # Not urllib3's own: that parses the head once more, to log its defects.
        original = http.client.HTTPConnection.getresponse(self)
        return self._final(original, self._method)  # type: ignore[attr-defined]  # http.client's

    def answer(self, method: str, data: bytes, failure: OSError | None) -> HTTPResponse:
        """Return the response that begins with ``data``, then ``failure``; as ``getresponse``."""
        original = _Response(self.sock, method=method, clock=self.clock)
        original.fp.close()
        original.fp = _Wire(self.sock, self.clock, data, failure).makefile("rb")
        try:
            original.begin()
        except BaseException:
            original.close()
            raise
        if original.will_close:
            self.close()  # the response keeps the socket until it is read
        return self._final(original, method)

    def _final(self, original: http.client.HTTPResponse, method: str | None) -> HTTPResponse:
        response = HTTPResponse(
            original,
            HTTPHeaderDict(original.msg.items()),
            original.status,
            original.version,
            reason=original.reason,
            preload_content=False,
            decode_content=False,
            original_response=original,
            request_method=method,
        )
        if 200 <= response.status <= 599:
            return response
        self.close()
        if response.status == _SWITCHING:
            raise BadResponse("the receiver switched protocols (101), which Orbit doesn't ask for")
        raise BadResponse(f"the response's status {response.status} can't be a final one")


class SecureConnection(PlainConnection, HTTPSConnection):
    """A connection over TLS; the certificate is checked for the host's name."""

    plain = False


@functools.lru_cache(maxsize=64)
def tls(ca_bundle: str | None) -> ssl.SSLContext:
    """Trust ``ca_bundle`` or the public authorities. Raises OSError."""
    # Not create_default_context(): it reads authorities and a key log from the environment.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    return context


def discard(connection: PlainConnection) -> None:
    """Close a connection, whatever state it is in."""
    try:
        connection.close()
    except (OSError, HTTPError, ValueError):
        # The descriptor is closed anyway.
        return
