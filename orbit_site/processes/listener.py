"""An ear for NOTIFY, on a connection of its own, opened when it is first needed: one that was forked would be poison."""

from typing import Any

import psycopg
from django.db import connection


class Listener:
    """Hears what is rung on ``channel``."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._connection: psycopg.Connection[Any] | None = None

    def open(self) -> "psycopg.Connection[Any]":
        """Listen, and return the connection. Call it before a look, so that nothing falls between the look and the wait. Raises psycopg.Error."""
        if self._connection is None:
            self._connection = psycopg.connect(
                **{**connection.get_connection_params(), "autocommit": True}
            )
            self._connection.execute(f"LISTEN {self._channel}")
        return self._connection

    def wait(self, seconds: float) -> bool:
        """Return True when somebody rang, False after ``seconds`` without. Raises psycopg.Error when the connection is lost."""
        return any(True for _ in self.open().notifies(timeout=seconds, stop_after=1))

    def close(self) -> None:
        """Hang up; the next wait opens anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
