"""The transport: one attempt to send a prepared request, over pools of checked connections."""

import functools
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from orbit.outbound import addresses
from orbit.outbound.connections import Clock, PlainConnection, discard
from orbit.outbound.pools import IDLE_SECONDS, Pool

# The most idle connections to all hosts together, checked after every SWEEP_USES requests.
IDLE_IN_ALL, SWEEP_USES = 256, 64

#: Scheme, host, port, the operator's list, and the file of authorities.
_Key = tuple[str, str, int | None, tuple[str, ...], str | None]


class Withheld(Exception):
    """The request may no longer be sent."""


@functools.lru_cache(maxsize=256)
def checked(url: str, allowed: tuple[str, ...]) -> SplitResult:
    """Do ``addresses.check_url``, once for each url and list."""
    return addresses.check_url(url, allowed)


@functools.lru_cache(maxsize=256)
def _key(url: str, allowed: tuple[str, ...], ca_bundle: str | None) -> _Key:
    """Return what a pool's connections have in common. Raises Refused."""
    parts = checked(url, allowed)
    # The rules are part of it: a connection made under wider rules is not reused.
    return parts.scheme, parts.hostname or "", parts.port, allowed, ca_bundle


class Adapter(BaseAdapter):
    """A transport for prepared requests: one attempt, to checked addresses."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: OrderedDict[_Key, Pool] = OrderedDict()
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
        may_send: Callable[[], bool] = lambda: True,
    ) -> "_LeasedResponse":
        """Send ``request`` once; the caller reads ``raw``, then calls ``lease.finish``.

        ``may_send`` is asked right before the first byte. Raises Withheld, addresses.Refused and
        Unresolved, OSError, and errors of http.client and urllib3.
        """
        clock = clock or Clock(timeout[0], timeout[1], sum(timeout))
        pool = self.pool(
            str(request.url), tuple(allowed), verify if isinstance(verify, str) else None
        )
        connection = pool.take(clock)
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            _connect(connection, may_send)
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
        response = _LeasedResponse(Lease(pool, connection, usable=not broken))
        response.status_code = raw.status
        response.raw = raw
        response.url = str(request.url)
        response.request = request
        response.headers = CaseInsensitiveDict(raw.headers)
        return response

    @property
    def idle(self) -> dict[_Key, int]:
        """The number of idle connections by scheme, host, port, rules and authorities."""
        with self._lock:
            return {key: len(pool) for key, pool in self._pools.items()}

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            pool.close()

    def pool(self, url: str, allowed: tuple[str, ...], ca_bundle: str | None) -> Pool:
        """Return the connections for a url. Raises Refused, and OSError as ``tls`` does."""
        key = _key(url, allowed, ca_bundle)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                scheme, host, port, *_ = key
                pool = Pool(
                    secure=scheme == "https",
                    host=host,
                    port=port,
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


class Lease:
    """A connection whose response is being read."""

    def __init__(self, pool: Pool, connection: PlainConnection, *, usable: bool) -> None:
        self._pool, self._connection, self._usable = pool, connection, usable

    def finish(self, *, whole: bool) -> None:
        """Keep the connection if the response was read to its end."""
        if whole and self._usable and self._connection.sock is not None:
            self._pool.give_back(self._connection)
        else:
            discard(self._connection)


def _connect(connection: PlainConnection, may_send: Callable[[], bool]) -> None:
    """Connect if necessary. Raises Withheld if nothing may be sent then."""
    if connection.sock is None:
        connection.connect()
    if not may_send():
        raise Withheld


class _LeasedResponse(requests.Response):
    """A response together with its connection."""

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self.lease = lease


#: This process's connections.
adapter = Adapter()


def _renew() -> None:
    # A forked child must not use its parent's connections, nor a lock that another thread held.
    global adapter
    adapter = Adapter()


os.register_at_fork(after_in_child=_renew)
