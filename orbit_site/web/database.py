"""The database connection of a thread: proved alive before use, and cut off from outside.

A server that lost power, or a firewall that forgot the flow, leaves a connection on which nothing
is said any more. Django's own check would wait on it for ever.
"""

import os
import select
import socket
import time
from contextlib import suppress
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import pq

from governance.kernel import availability
from telemetry import database as telemetry

# Also refuses a former primary, which has become read-only. A page leaves its shorter limit.
_QUESTION = f"RESET statement_timeout; {availability.IS_READ_ONLY}".encode()
_NO = b"f"


def own() -> BaseDatabaseWrapper:
    """Return this thread's connection."""
    return connections["default"]


def second() -> BaseDatabaseWrapper | None:
    """Return this thread's connection to telemetry's own database, if it has one."""
    return telemetry.connection() if telemetry.IS_SEPARATE else None


def prove(connection: BaseDatabaseWrapper, seconds: float) -> None:
    """Close the thread's own connection unless it answers within ``seconds``."""
    raw = connection.connection
    if raw is not None and not _answers(raw, seconds):
        cut_off(connection)
        with suppress(DatabaseError, InterfaceError):
            connection.close()


def keep_open(connection: BaseDatabaseWrapper, seconds: float) -> None:
    """Prove the thread's own connection or open another; it stays open while it answers."""
    prove(connection, seconds)
    with suppress(DatabaseError, InterfaceError):
        connection.ensure_connection()
        connection.close_at = None


def cut_off(connection: BaseDatabaseWrapper) -> None:
    """Make a statement that waits on the connection fail at once; any thread may call it."""
    raw = connection.connection
    if raw is None:
        return
    with (
        suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(raw.fileno())) as copy,
    ):
        copy.shutdown(socket.SHUT_RDWR)


def _answers(raw: "psycopg.Connection[Any]", seconds: float) -> bool:
    """Ask with a deadline of our own: the driver's waits have none."""
    connection = raw.pgconn
    until = time.monotonic() + seconds
    try:
        connection.send_query(_QUESTION)
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN)
        while connection.is_busy():
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                return False
            connection.consume_input()
        answers: list[pq.abc.PGresult] = []
        while (answer := connection.get_result()) is not None:
            answers.append(answer)
    except (OSError, psycopg.Error):
        return False
    return bool(answers) and answers[-1].get_value(0, 0) == _NO
