"""The HTTP client: each call is one request, its result a value."""

import functools
import http.client
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import requests
from django.conf import settings
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as WrappedTlsError
from urllib3.response import HTTPResponse

from orbit.outbound import addresses, redaction, transport
from orbit.outbound.connections import BadResponse, Clock, ConnectFailed, Truncated

KEEP, LIMIT = 4096, 65536
# Masked beyond what is kept, so that no secret is cut in two.
_MARGIN = 16384
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_LONGEST = 8192
_NOT_MODIFIED = 304  # the only 3xx that redirects nowhere


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
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


# Not frozen, although nothing changes one: that takes longer than all else of making it.
@dataclass(slots=True)
class Response:
    """What became of a request. Without a response ``status`` is None."""

    status: int | None
    # refused, dns, connect, tls, timeout, reset, bad_response, withheld or unexpected
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


def send(
    request: Request,
    *,
    allowed: Sequence[str],
    keep: int = KEEP,
    limit: int = LIMIT,
    may_send: Callable[[], bool] = lambda: True,
) -> Response:
    """Send ``request`` once, within ``total_timeout`` seconds; never raises.

    ``may_send`` is asked right before the first byte: connecting takes time. Reads ``limit`` bytes
    of the body and keeps ``keep``.
    """
    started = time.monotonic()
    clock = Clock(request.connect_timeout, request.read_timeout, request.total_timeout)
    try:
        prepared = _prepare(request, tuple(allowed))
        response = transport.adapter.send(
            prepared,
            verify=request.ca_bundle or True,
            allowed=allowed,
            clock=clock,
            may_send=may_send,
        )
        latency = since(started)
        return received(
            response.raw, response.lease, request, clock, latency=latency, keep=keep, limit=limit
        )
    except Exception as error:  # the caller records an outcome, whatever happened
        return failed(error, clock, started)


def received(
    raw: HTTPResponse,
    lease: transport.Lease,
    request: Request,
    clock: Clock,
    *,
    latency: float,
    keep: int = KEEP,
    limit: int = LIMIT,
) -> Response:
    """Read the body of a response whose head is read; keep or close its connection."""
    body, problem = _read(raw, clock, limit)
    lease.finish(whole=not problem and not clock.surplus)
    return response_of(
        raw.status, raw.headers, body, problem, request=request, latency=latency, keep=keep
    )


def response_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    problem: str = "",
    *,
    request: Request,
    latency: float,
    keep: int = KEEP,
) -> Response:
    """Return a received response. ``problem``: why its body isn't whole."""
    whole = body if not problem and len(body) <= keep else None
    if whole is None and not problem:
        problem = f"the body is longer than {keep} bytes"
    excerpt = body[:keep]
    if body and request.secrets:
        excerpt = redaction.mask(body[: keep + _MARGIN], request.secrets)[:keep]
    is_redirect = status // 100 == 3 and status != _NOT_MODIFIED
    location = headers.get("location", "") if is_redirect else ""
    return Response(
        status=status,
        error_class=None,
        error=problem,
        excerpt=excerpt,
        retry_after=headers.get("retry-after"),
        latency_ms=latency,
        was_sent=True,
        body=whole,
        content_type=headers.get("content-type", ""),
        location=redaction.location(location, request.secrets) if location else "",
    )


def failed(error: Exception, clock: Clock, started: float) -> Response:
    """Return what became of a request without a response."""
    error_class, text = _classify(error, clock)
    return Response(None, error_class, text[:500], b"", None, since(started), clock.sent, None)


def since(started: float) -> float:
    """Return the milliseconds since a time of the monotonic clock."""
    return round((time.monotonic() - started) * 1000, 3)


@functools.cache
def _defaults() -> dict[str, str]:
    agent = f"Orbit/{settings.ORBIT_VERSION}"
    return {"User-Agent": agent, "Accept-Encoding": "identity", "Accept": "*/*"}


@functools.lru_cache(maxsize=256)
def _target(method: str, url: str, allowed: tuple[str, ...]) -> requests.PreparedRequest:
    transport.checked(url, allowed)
    # Prepared only: a session would use redirects, cookies, .netrc, and proxies and CA variables
    # of the environment.
    return requests.Request(method, url).prepare()


@functools.lru_cache(maxsize=256)
def target(method: str, url: str, allowed: tuple[str, ...]) -> str:
    """Return the path and query that a request for ``url`` names. Raises as ``_prepare``."""
    prepared = _target(method, url, allowed).copy()
    prepared.url = url
    return prepared.path_url


def with_defaults(headers: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` with those that every request has; ``headers`` win in any spelling."""
    return {**missing_defaults(tuple(headers)), **headers}


@functools.lru_cache(maxsize=256)
def missing_defaults(names: tuple[str, ...]) -> Mapping[str, str]:
    """Return the headers that every request has and that aren't among ``names``."""
    lower = {name.lower() for name in names}
    return {name: value for name, value in _defaults().items() if name.lower() not in lower}


def is_sendable(name: str, value: str) -> bool:
    """Return whether a header can be sent: printable ASCII, at most 8192 characters."""
    return is_name(name) and is_sendable_value(value)


@functools.lru_cache(maxsize=256)
def is_name(name: str) -> bool:
    """Return whether a header may have this name."""
    return _NAME.fullmatch(name) is not None


def is_sendable_value(value: str) -> bool:
    """Return whether a header's value can be sent."""
    return len(value) <= _LONGEST and value.isascii() and value.isprintable()


def _prepare(request: Request, allowed: tuple[str, ...]) -> requests.PreparedRequest:
    """Return the prepared request. Raises Refused for an unsendable header."""
    for name, value in request.headers.items():
        if not is_sendable(name, value):
            raise addresses.Refused(
                f"The header {name[:60]!r} can't be sent: it must be printable ASCII, "
                "at most 8192 characters."
            )
    # Copy one that is prepared once for each target: preparing is slow.
    target = _target(request.method, request.url, allowed)
    prepared = requests.PreparedRequest()
    # The url as it was written: it may be signed, and normalizing it would break the signature.
    prepared.method, prepared.url, prepared.hooks = target.method, request.url, target.hooks
    # A plain dict: requests' case-insensitive one is slow, and read a hundred times per request.
    prepared.headers = with_defaults(request.headers)  # type: ignore[assignment]
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
    ((transport.Withheld,), "withheld", "withheld", "stopped before it was sent"),
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
