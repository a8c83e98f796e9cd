"""Waits for NOTIFY on its own connection."""

from typing import Any

import psycopg
from django.db import connection


class Listener:
    """Waits for a NOTIFY on ``channel``."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._connection: psycopg.Connection[Any] | None = None

    def open(self) -> "psycopg.Connection[Any]":
        """Listen, and return the connection; call it before reading state. Raises psycopg.Error."""
        if self._connection is None:
            # Open it late: two processes that share a connection after a fork mix up its answers.
            self._connection = psycopg.connect(
                **{**connection.get_connection_params(), "autocommit": True}
            )
            # A change of state that is read after this is notified, so none is missed.
            self._connection.execute(f"LISTEN {self._channel}")
        return self._connection

    def wait(self, seconds: float) -> bool:
        """Return True on a notification, False after ``seconds``. Raises psycopg.Error."""
        return any(True for _ in self.open().notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        """Close the connection; the next ``wait`` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
