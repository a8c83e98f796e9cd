"""Idle connections, kept for the next request."""

import contextlib
import math
import time
from collections import deque
from typing import Any

from orbit.outbound.connections import Clock, PlainConnection, SecureConnection, discard, tls

IDLE_SECONDS = 30.0
IDLE_CONNECTIONS = 32


class Pool:
    """Idle connections under one set of rules. Thread-safe; never blocks."""

    def __init__(
        self,
        *,
        secure: bool,
        host: str,
        port: int | None,
        allowed: tuple[str, ...],
        ca_bundle: str | None,
    ) -> None:
        """Raises OSError as ``tls`` does."""
        self._secure, self._host, self._port, self._allowed = secure, host, port, allowed
        self._options: dict[str, Any] = {"ssl_context": tls(ca_bundle)} if secure else {}
        self._idle: deque[PlainConnection] = deque(maxlen=IDLE_CONNECTIONS)
        self.used_at = time.monotonic()

    def take(self, clock: Clock) -> PlainConnection:
        """Return a fresh and silent connection, or a new one."""
        connection = self.live(clock)
        if connection is not None:
            return connection
        kind = SecureConnection if self._secure else PlainConnection
        return kind(self._host, self._port, allowed=self._allowed, clock=clock, **self._options)

    def live(self, clock: Clock) -> PlainConnection | None:
        """Return a fresh and silent connection, if there is one."""
        self.used_at = time.monotonic()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            # Anything that arrived meanwhile, an end or forged bytes, makes a connection unusable.
            if time.monotonic() - connection.used_at < IDLE_SECONDS and connection.is_connected:
                connection.clock = clock
                return connection
            discard(connection)
        return None

    def give_back(self, connection: PlainConnection) -> None:
        """Keep a connection whose response was read to its end."""
        connection.used_at = time.monotonic()
        self._idle.append(connection)

    def __len__(self) -> int:
        return len(self._idle)

    def close(self, *, before: float = math.inf) -> None:
        """Close idle connections last used before a time of the monotonic clock."""
        with contextlib.suppress(IndexError):  # another thread took the last one
            # The one that is idle longest is first.
            while self._idle and self._idle[0].used_at < before:
                connection = self._idle.popleft()
                if connection.used_at >= before:
                    self._idle.append(connection)
                    return
                discard(connection)
