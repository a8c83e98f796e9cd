"""The HTTP client: each call is one request, its result a value."""

import functools
import http.client
import math
import os
import re
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult

import requests
from django.conf import settings
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as WrappedTlsError
from urllib3.response import HTTPResponse

from orbit.outbound import addresses, redaction
from orbit.outbound.connections import (
    IDLE_SECONDS,
    BadResponse,
    Clock,
    ConnectFailed,
    PlainConnection,
    Pool,
    Truncated,
    discard,
)

KEEP, LIMIT = 4096, 65536
# The most idle connections to all hosts together, checked after every SWEEP_USES requests.
IDLE_IN_ALL, SWEEP_USES = 256, 64
# Masked beyond what is kept, so that no secret is cut in two.
_MARGIN = 16384
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[\x20-\x7e]{0,8192}")
_NOT_MODIFIED = 304  # the only 3xx that redirects nowhere


@dataclass(frozen=True, slots=True)
class Request:
    """One complete request; times in seconds."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    ca_bundle: str | None  # a file of authorities; None: the public ones
    # Masked in the response's excerpt: a receiver may send them back.
    secrets: tuple[str, ...] = field(default=(), repr=False)


def with_default(headers: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    """Return ``headers`` with the header ``name``, unless it is there in any spelling."""
    is_there = any(header.lower() == name.lower() for header in headers)
    return dict(headers) if is_there else {**headers, name: value}


@dataclass(frozen=True, slots=True)
class Response:
    """What became of a request. Without a response ``status`` is None."""

    status: int | None
    # refused, dns, connect, tls, timeout, reset, bad_response or unexpected
    error_class: str | None
    error: str  # with a status: why the body isn't whole
    excerpt: bytes  # the body's beginning, without secrets
    retry_after: str | None
    latency_ms: float  # until the response's head, or the error
    was_sent: bool | None  # False: certainly no byte left
    body: bytes | None  # None: not whole, or longer than ``keep``
    content_type: str = ""
    location: str = ""  # where a redirect points to, without secrets

    @property
    def refusal(self) -> str:
        """What a status that isn't a 2xx says, in words."""
        if not self.location:
            return f"HTTP {self.status}"
        return (
            f"HTTP {self.status}: the receiver redirects to {self.location}, and Orbit follows no"
            " redirect. If it moved, change the url."
        )


class Adapter(BaseAdapter):
    """A transport for prepared requests: one attempt, to checked addresses."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: OrderedDict[tuple[Any, ...], Pool] = OrderedDict()
        self._lock = threading.Lock()
        self._uses = 0

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = True,
        timeout: Any = (5, 10),
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
        *,
        allowed: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> "_LeasedResponse":
        """Send ``request`` once; the caller reads ``raw``, then calls ``lease.finish``.

        Raises addresses.Refused and Unresolved, OSError, and errors of http.client and urllib3.
        """
        clock = clock or Clock(timeout[0], timeout[1], sum(timeout))
        pool = self._pool(
            str(request.url), tuple(allowed), verify if isinstance(verify, str) else None
        )
        connection = pool.take(clock)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            broken = False
            try:
                connection.deliver(str(request.method), request.path_url, request.headers, body)
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                # A receiver may respond 413 and stop reading: that response counts.
                broken = True
                if not clock.sent or connection.sock is None or connection.is_connected:
                    raise
            raw = connection.getresponse()
        except BaseException:
            discard(connection)
            raise
        response = _LeasedResponse(_ConnectionLease(pool, connection, usable=not broken))
        response.status_code = raw.status
        response.raw = raw
        response.url = str(request.url)
        response.request = request
        response.headers = CaseInsensitiveDict(raw.headers)
        return response

    @property
    def idle(self) -> dict[tuple[Any, ...], int]:
        """The number of idle connections by scheme, host, port, rules and authorities."""
        with self._lock:
            return {key: len(pool) for key, pool in self._pools.items()}

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            pool.close()

    def _pool(self, url: str, allowed: tuple[str, ...], ca_bundle: str | None) -> Pool:
        parts = _checked(url, allowed)
        # The rules are part of the key: a connection made under wider rules is not reused.
        key = (parts.scheme, parts.hostname, parts.port, allowed, ca_bundle)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = Pool(
                    secure=parts.scheme == "https",
                    host=parts.hostname or "",
                    port=parts.port,
                    allowed=allowed,
                    ca_bundle=ca_bundle,
                )
                self._pools[key] = pool
            self._pools.move_to_end(key)
            self._uses += 1
            if self._uses % SWEEP_USES == 0:
                self._sweep()
        return pool

    def _sweep(self) -> None:
        """Close connections idle for long, and the oldest above the limit."""
        idle, fresh = 0, time.monotonic() - IDLE_SECONDS
        for key, pool in reversed(list(self._pools.items())):
            pool.close(before=fresh if idle + len(pool) <= IDLE_IN_ALL else math.inf)
            idle += len(pool)
            if not pool and pool.used_at < fresh:
                del self._pools[key]


class _ConnectionLease:
    """A connection whose response is being read."""

    def __init__(self, pool: Pool, connection: PlainConnection, *, usable: bool) -> None:
        self._pool, self._connection, self._usable = pool, connection, usable

    def finish(self, *, whole: bool) -> None:
        """Keep the connection if the response was read to its end."""
        if whole and self._usable and self._connection.sock is not None:
            self._pool.give_back(self._connection)
        else:
            discard(self._connection)


class _LeasedResponse(requests.Response):
    """A response together with its connection."""

    def __init__(self, lease: _ConnectionLease) -> None:
        super().__init__()
        self.lease = lease


#: This process's connections.
adapter = Adapter()


def _renew() -> None:
    # A forked child must not use its parent's connections, nor a lock that another thread held.
    global adapter
    adapter = Adapter()


os.register_at_fork(after_in_child=_renew)


def send(
    request: Request, *, allowed: Sequence[str], keep: int = KEEP, limit: int = LIMIT
) -> Response:
    """Send ``request`` once, within ``total_timeout`` seconds; never raises.

    Reads ``limit`` bytes of the body and keeps ``keep``.
    """
    started = time.monotonic()
    clock = Clock(request.connect_timeout, request.read_timeout, request.total_timeout)
    try:
        prepared = _prepare(request, tuple(allowed))
        response = adapter.send(
            prepared, verify=request.ca_bundle or True, allowed=allowed, clock=clock
        )
        latency = _since(started)
        body, problem = _read(response.raw, clock, limit)
        response.lease.finish(whole=not problem and not clock.surplus)
    except Exception as error:  # the caller records an outcome, whatever happened
        error_class, text = _classify(error, clock)
        return Response(None, error_class, text[:500], b"", None, _since(started), clock.sent, None)
    whole = body if not problem and len(body) <= keep else None
    if whole is None and not problem:
        problem = f"the body is longer than {keep} bytes"
    excerpt = body[:keep]
    if body and request.secrets:
        excerpt = redaction.mask(body[: keep + _MARGIN], request.secrets)[:keep]
    is_redirect = response.status_code // 100 == 3 and response.status_code != _NOT_MODIFIED
    location = response.headers.get("Location", "") if is_redirect else ""
    return Response(
        status=response.status_code,
        error_class=None,
        error=problem,
        excerpt=excerpt,
        retry_after=response.headers.get("Retry-After"),
        latency_ms=latency,
        was_sent=True,
        body=whole,
        content_type=response.headers.get("Content-Type", ""),
        location=redaction.location(location, request.secrets) if location else "",
    )


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


@functools.cache
def _agent() -> str:
    return f"Orbit/{settings.ORBIT_VERSION}"


@functools.lru_cache(maxsize=256)
def _checked(url: str, allowed: tuple[str, ...]) -> SplitResult:
    return addresses.check_url(url, allowed)


@functools.lru_cache(maxsize=256)
def _target(method: str, url: str, allowed: tuple[str, ...]) -> requests.PreparedRequest:
    _checked(url, allowed)
    # Prepared only: a session would use redirects, cookies, .netrc, and proxies and CA variables
    # of the environment.
    return requests.Request(method, url).prepare()


def _prepare(request: Request, allowed: tuple[str, ...]) -> requests.PreparedRequest:
    """Return the prepared request. Raises Refused for an unsendable header."""
    for name, value in request.headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise addresses.Refused(
                f"The header {name[:60]!r} can't be sent: it must be printable ASCII, "
                "at most 8192 characters."
            )
    # Copy one that is prepared once for each target: preparing is slow.
    target = _target(request.method, request.url, allowed)
    prepared = requests.PreparedRequest()
    # The url as it was written: it may be signed, and normalizing it would break the signature.
    prepared.method, prepared.url, prepared.hooks = target.method, request.url, target.hooks
    defaults = {"User-Agent": _agent(), "Accept-Encoding": "identity", "Accept": "*/*"}
    names = {name.lower() for name in request.headers}
    # A plain dict: requests' case-insensitive one is slow, and read a hundred times per request.
    headers = {name: value for name, value in defaults.items() if name.lower() not in names}
    prepared.headers = {**headers, **request.headers}  # type: ignore[assignment]
    prepared.body = request.body if request.body or request.method not in ("GET", "HEAD") else None
    return prepared


def _read(raw: HTTPResponse, clock: Clock, limit: int) -> tuple[bytes, str]:
    """Return the body's beginning, and why it isn't whole."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size <= limit:
            # Raw: decompressed, a short body could become huge.
            piece = raw.read(min(16384, limit + 1 - size), decode_content=False)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
    except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        partial = getattr(error.args[-1] if error.args else None, "partial", b"")
        pieces.append(partial if isinstance(partial, bytes) else b"")
        clock.cut = clock.cut or "broken"
    if size > limit:
        return b"".join(pieces)[:limit], f"the body is longer than {limit} bytes"
    return b"".join(pieces)[:limit], f"the body was cut off ({clock.cut})" if clock.cut else ""


_MALFORMED = "the answer isn't valid HTTP"
# For each error: its class if nothing was sent, its class if something was, and the text. The first
# match counts.
_OUTCOMES: list[tuple[tuple[type[Exception], ...], str, str, str]] = [
    ((addresses.Refused,), "refused", "refused", "{error}"),
    ((addresses.Unresolved,), "dns", "dns", "{error}"),
    ((ConnectFailed,), "connect", "connect", "{error}"),
    (
        (ssl.SSLCertVerificationError,),
        "tls",
        "tls",
        "the certificate was refused: {error.verify_message}",
    ),
    ((TimeoutError,), "connect", "timeout", "no complete answer in time"),
    ((ssl.SSLError, WrappedTlsError), "tls", "reset", "the TLS connection failed"),
    (
        (Truncated, http.client.RemoteDisconnected, ConnectionError),
        "connect",
        "reset",
        "the connection was closed before the answer was complete",
    ),
    ((BadResponse,), "bad_response", "bad_response", "{error}"),
    ((OSError,), "connect", "reset", "the connection failed: {error.strerror}"),
    ((http.client.HTTPException, HTTPError, ValueError), "refused", "bad_response", "{name}"),
]


def _classify(error: Exception, clock: Clock) -> tuple[str, str]:
    """Return the error class and the text."""
    # Neither may hold more of the request than its host.
    name = (
        f"{_MALFORMED if clock.sent else 'this request cannot be built'} ({type(error).__name__})"
    )
    for kinds, before, after, text in _OUTCOMES:
        if isinstance(error, kinds):
            return after if clock.sent else before, text.format(error=error, name=name)
    return "unexpected", f"unexpected {type(error).__name__}"
