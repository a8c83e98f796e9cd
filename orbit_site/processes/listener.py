"""Waits for NOTIFY on a dedicated connection, opened lazily: none must survive a fork."""

from typing import Any

import psycopg
from django.db import connection


class Listener:
    """Waits for a NOTIFY on ``channel``."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._connection: psycopg.Connection[Any] | None = None

    def open(self) -> "psycopg.Connection[Any]":
        """Start to listen if that isn't so yet; return the connection. Raises psycopg.Error.

        Call it before reading state: a change after that is notified, so none is missed.
        """
        if self._connection is None:
            self._connection = psycopg.connect(
                **{**connection.get_connection_params(), "autocommit": True}
            )
            self._connection.execute(f"LISTEN {self._channel}")
        return self._connection

    def wait(self, seconds: float) -> bool:
        """Return True on a notification, False after ``seconds`` without one.

        Raises psycopg.Error if the connection is lost.
        """
        return any(True for _ in self.open().notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        """Close the connection; the next ``wait`` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
