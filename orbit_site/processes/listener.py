"""Waits for NOTIFY on its own connection, and makes sure that the server is the right one."""

import select
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection

from governance.kernel import availability
from orbit import interrupts

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

    def __init__(
        self, channel: str, *, heeds_signals: bool = False, verify_seconds: float | None = None
    ) -> None:
        """``heeds_signals``: a signal to this process ends a wait, too.

        The server is asked each ``verify_seconds`` whether it is the primary.
        """
        self._channel, self._heeds_signals = channel, heeds_signals
        self._verify_seconds = verify_seconds
        self._connection: psycopg.Connection[Any] | None = None
        self._verify_at = 0.0
        self._notified = False

    def open(self) -> "psycopg.Connection[Any]":
        """Listen, and return the connection; call it before reading state.

        Raises psycopg.Error, ReadOnlyServer if the server accepts no writes.
        """
        connection = self._listening()
        if time.monotonic() >= self._verify_at:
            self._verify(connection, availability.IS_READ_ONLY)
        return connection

    def ask(self, text: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the only row of ``text``, whose first column is availability.IS_READ_ONLY.

        So one round trip is the look at the state and the proof of the server. Raises as ``open``
        does.
        """
        return self._verify(self._listening(), text, values)

    def wait(self, seconds: float, *, proved: bool = True) -> bool:
        """Return True on a notification, False after ``seconds`` or a signal. Raises as ``open``.

        ``proved`` False: this server is proved at the next ``open``, before anything is read.
        """
        connection = self.open() if proved else self._listening()
        if not self._notified:
            self._receive(connection, seconds)
        notified, self._notified = self._notified, False
        return notified

    def close(self) -> None:
        """Close the connection; the next ``wait`` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _listening(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            # Open it late: two processes that share a connection after a fork mix up its answers.
            self._connection = _Connection.connect(
                **{**connection.get_connection_params(), "autocommit": True}
            )
            # Those that arrive with the answer of a statement.
            self._connection.add_notify_handler(self._note)
            self._verify(self._connection, availability.IS_READ_ONLY)
            # A change of state that is read after this is notified, so none is missed.
            self._connection.execute(f"LISTEN {self._channel}")
        return self._connection

    def _receive(self, connection: "psycopg.Connection[Any]", seconds: float) -> None:
        # psycopg's own wait wakes ten times a second.
        sources = select.poll()
        sources.register(connection.fileno(), select.POLLIN)
        if self._heeds_signals and interrupts.process.signals is not None:
            sources.register(interrupts.process.signals, select.POLLIN)
        # A negative time-out has no end, and a process may be suspended before this line.
        if sources.poll(1000 * max(0.0, seconds)):
            connection.pgconn.consume_input()
            while connection.pgconn.notifies():
                self._notified = True

    def _note(self, _: psycopg.Notify) -> None:
        self._notified = True

    def _verify(
        self,
        connection: "psycopg.Connection[Any]",
        text: str,
        values: Mapping[str, Any] | None = None,
    ) -> tuple[Any, ...]:
        # Django's parameters name a cursor that puts values into the text, and so can't prepare.
        with psycopg.Cursor(connection) as cursor:
            answer: tuple[Any, ...] | None = cursor.execute(text, values, prepare=True).fetchone()
        assert answer is not None  # noqa: S101 - these statements have one row
        availability.require_writes(answer[0])
        self._verify_at = time.monotonic() + (self._verify_seconds or VERIFY_SECONDS)
        return answer
