"""Waits for NOTIFY on its own connection, and makes sure that the server is the right one."""

import time
from typing import Any

import psycopg
from django.db import connection

from governance.kernel import availability

#: A listener's statements take milliseconds. After this time its connection counts as silent.
DEADLINE_SECONDS = 5.0
#: After a failover the old server may go on answering: ask it this often.
VERIFY_SECONDS = 1.0


class _Connection(psycopg.Connection[Any]):
    """Raises OperationalError if the server is silent for DEADLINE_SECONDS."""

    # Keepalives don't end a connection whose proxy is alive and whose server is not.
    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, DEADLINE_SECONDS if timeout is None else timeout)


class Listener:
    """Waits for a NOTIFY on ``channel``."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._connection: psycopg.Connection[Any] | None = None
        self._verify_at = 0.0

    def open(self) -> "psycopg.Connection[Any]":
        """Listen, and return the connection; call it before reading state.

        Raises psycopg.Error, ReadOnlyServer if the server accepts no writes.
        """
        if self._connection is None:
            # Open it late: two processes that share a connection after a fork mix up its answers.
            self._connection = _Connection.connect(
                **{**connection.get_connection_params(), "autocommit": True}
            )
            self._verify()
            # A change of state that is read after this is notified, so none is missed.
            self._connection.execute(f"LISTEN {self._channel}")
        elif time.monotonic() >= self._verify_at:
            self._verify()
        return self._connection

    def wait(self, seconds: float) -> bool:
        """Return True on a notification, False after ``seconds``. Raises as ``open`` does."""
        return any(True for _ in self.open().notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        """Close the connection; the next ``wait`` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _verify(self) -> None:
        assert self._connection is not None  # noqa: S101 - the callers have just opened it
        if self._connection.execute(availability.IS_READ_ONLY).fetchone() == (True,):
            raise availability.ReadOnlyServer("the server accepts no writes")
        self._verify_at = time.monotonic() + VERIFY_SECONDS
