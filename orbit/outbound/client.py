"""The one way out: every HTTP request that Orbit makes is sent here, and the answer is a value, never an exception.

``requests`` prepares the request; its session isn't used, since redirects, cookies, ``.netrc``, proxies and CA variables of the
environment are exactly what must not happen. Each call is one request on the wire: nothing is retried, nothing is followed.
The body is read as raw bytes, never decompressed, and no more of it than ``limit``.
"""

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
    Cut,
    PlainConnection,
    Pool,
    discard,
)

KEEP, LIMIT = 4096, 65536
# Idle connections to all hosts together, looked at every so many requests.
IDLE_IN_ALL, SWEEP_USES = 256, 64
# Looked at beyond what is kept, so that no secret is cut in two there.
_ROUND = 16384
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[\x20-\x7e]{0,8192}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete; times are seconds. ``ca_bundle`` is a file of authorities to trust instead of the public ones.

    ``secrets`` are what the excerpt of an answer must not hold, should the receiver send them back.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    connect_timeout: float
    read_timeout: float
    total_timeout: float
    ca_bundle: str | None
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    With a ``status`` there was an answer, and ``error`` at most says why its body isn't whole. Without one ``error_class`` is
    ``refused`` (Orbit's own rules), ``dns``, ``connect``, ``tls``, ``timeout``, ``reset``, ``bad_response`` or ``unexpected``.
    ``sent`` is False when it is proven that no byte of the request left. ``body`` is the whole body where it was read to its end and is no
    longer than ``keep``, else None; ``excerpt`` its beginning, without the request's secrets. ``latency_ms`` ends with the head of the
    answer, or with the error.
    """

    status: int | None
    error_class: str | None
    error: str
    excerpt: bytes
    retry_after: str | None
    latency_ms: float
    sent: bool | None
    body: bytes | None
    content_type: str = ""


class Adapter(BaseAdapter):
    """A lean transport for prepared requests: no redirect, no retry, no cookie, no proxy, connections only to checked addresses."""

    def __init__(self) -> None:
        """Make one without a connection."""
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
    ) -> "_Received":
        """Send ``request`` once and return the head of its answer; the body waits in ``raw``, and ``lent.finish`` ends it.

        ``cert`` and ``proxies`` are not used. Raises addresses.Refused and Unresolved, OSError, http.client's and urllib3's errors.
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
                # A receiver may answer 413 and read no more: then its answer is there, and counts.
                broken = True
                if not clock.sent or connection.sock is None or connection.is_connected:
                    raise
            answer = connection.getresponse()
        except BaseException:
            discard(connection)
            raise
        response = _Received(_Lent(pool, connection, usable=not broken))
        response.status_code, response.raw, response.url, response.request = (
            answer.status,
            answer,
            str(request.url),
            request,
        )
        response.headers = CaseInsensitiveDict(answer.headers)
        return response

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            pool.close()

    def _pool(self, url: str, allowed: tuple[str, ...], ca_bundle: str | None) -> Pool:
        parts = _checked(url, allowed)
        # The rules are part of the key: a connection made under wider rules isn't used again under narrower ones.
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
        """Let go of what nobody used for long, and of the rest what was used longest ago: each idle connection is a descriptor."""
        idle, fresh = 0, time.monotonic() - IDLE_SECONDS
        for key, pool in reversed(list(self._pools.items())):
            pool.close(before=fresh if idle + len(pool) <= IDLE_IN_ALL else math.inf)
            idle += len(pool)
            if not pool and pool.used_at < fresh:
                del self._pools[key]


class _Lent:
    """A connection whose answer is being read."""

    def __init__(self, pool: Pool, connection: PlainConnection, *, usable: bool) -> None:
        self._pool, self._connection, self._usable = pool, connection, usable

    def finish(self, *, whole: bool) -> None:
        """Give the connection back if its answer was read to the end, else close it."""
        if whole and self._usable and self._connection.sock is not None:
            self._pool.give_back(self._connection)
        else:
            discard(self._connection)


class _Received(requests.Response):
    """An answer together with its connection."""

    def __init__(self, lent: _Lent) -> None:
        super().__init__()
        self.lent = lent


_adapter = Adapter()


def _renew() -> None:
    # A forked child must not speak on its parent's connections, nor wait for a lock that some other thread held at the fork.
    global _adapter
    _adapter = Adapter()


os.register_at_fork(after_in_child=_renew)


def send(
    request: Request, *, allowed: Sequence[str], keep: int = KEEP, limit: int = LIMIT
) -> Answer:
    """Send ``request`` once, under the address rules with ``allowed`` added to them; never raises.

    At most ``limit`` bytes of the body are read and ``keep`` of them kept. Returns within ``total_timeout`` seconds.
    """
    clock, started = (
        Clock(request.connect_timeout, request.read_timeout, request.total_timeout),
        time.monotonic(),
    )
    try:
        prepared = _prepare(request, tuple(allowed))
        response = _adapter.send(
            prepared, verify=request.ca_bundle or True, allowed=allowed, clock=clock
        )
        latency = _since(started)
        body, why = _read(response.raw, clock, limit)
        response.lent.finish(whole=not why and not clock.surplus)
    except Exception as error:  # whatever it is, the caller has an outcome to record
        word, text = _classify(error, clock)
        return Answer(None, word, text[:500], b"", None, _since(started), clock.sent, None)
    whole = body if not why and len(body) <= keep else None
    note = why or ("" if whole is not None else f"the body is longer than {keep} bytes")
    excerpt = (
        redaction.mask(body[: keep + _ROUND], request.secrets)[:keep]
        if body and request.secrets
        else body[:keep]
    )
    return Answer(
        response.status_code,
        None,
        note,
        excerpt,
        response.headers.get("Retry-After"),
        latency,
        True,
        whole,
        response.headers.get("Content-Type", ""),
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
    return requests.Request(method, url).prepare()


def _prepare(request: Request, allowed: tuple[str, ...]) -> requests.PreparedRequest:
    """Return a copy of the target's prepared request with this one's headers and body. Raises Refused for a header that can't be sent."""
    for name, value in request.headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise addresses.Refused(
                f"The header {name[:60]!r} holds something that can't be sent: only printable ASCII can, at most 8192 characters."
            )
    target = _target(request.method, request.url, allowed)
    prepared = requests.PreparedRequest()
    # As it was written: a receiver may have signed it, and normalising it would break that.
    prepared.method, prepared.url, prepared.hooks = target.method, request.url, target.hooks
    given = {name.lower() for name in request.headers}
    # A plain dict: requests' own kind is read a hundred times for one request.
    own = {
        name: value
        for name, value in (
            ("User-Agent", _agent()),
            ("Accept-Encoding", "identity"),
            ("Accept", "*/*"),
        )
        if name.lower() not in given
    }
    prepared.headers = {**own, **request.headers}  # type: ignore[assignment]
    prepared.body = request.body if request.body or request.method not in ("GET", "HEAD") else None
    return prepared


def _read(raw: HTTPResponse, clock: Clock, limit: int) -> tuple[bytes, str]:
    """Return the body, at most ``limit`` bytes of it, and why it isn't whole (else an empty text). The status stands whatever happens here."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size <= limit:
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


_UNFIT = "the answer isn't HTTP as it should be"
# For each error: the word when nothing was sent, the word when something was, and the text. The first that fits counts.
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
        (Cut, http.client.RemoteDisconnected, ConnectionError),
        "connect",
        "reset",
        "the connection was closed before the answer was complete",
    ),
    ((BadResponse,), "bad_response", "bad_response", "{error}"),
    ((OSError,), "connect", "reset", "the connection failed: {error.strerror}"),
    ((http.client.HTTPException, HTTPError, ValueError), "refused", "bad_response", "{name}"),
]


def _classify(error: Exception, clock: Clock) -> tuple[str, str]:
    """Return the stable word and the text for ``error``; neither holds more of the request than its host."""
    name = f"{_UNFIT if clock.sent else 'this request cannot be built'} ({type(error).__name__})"
    for kinds, before, after, text in _OUTCOMES:
        if isinstance(error, kinds):
            return after if clock.sent else before, text.format(error=error, name=name)
    return "unexpected", f"unexpected {type(error).__name__}"
