"""The database's clock.

Processes read it and carry it on by a clock that can't be set, so a host whose wall clock is wrong
decides nothing. A reading is taken with each new connection, which may lead to another server, and
where work begins (``refresh``).
"""

import time
from datetime import UTC, datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.signals import connection_created

#: A reading is used for this long. The database's clock may be set, too.
FRESH_SECONDS = 1.0
#: A host whose clock differs by more than this is reported.
TOLERATED_SECONDS = 5.0

# It goes on in suspend, unlike CLOCK_MONOTONIC on Linux.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# (the database's time, the steady clock's time of that reading); one name, so no lock is needed.
_reading: tuple[float, float] | None = None


def timestamp() -> float:
    """Return the database's time in seconds since 1970, without a query."""
    reading = _reading
    # Before its first connection a process knows only its own clock.
    return time.time() if reading is None else reading[0] + _steady() - reading[1]


def now() -> datetime:
    """Return the database's time, without a query."""
    return datetime.fromtimestamp(timestamp(), UTC)


def read() -> datetime:
    """Ask the database for its time; return it."""
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    with database.wrap_database_errors:
        _read(database.connection)
    return now()


def refresh() -> None:
    """Ask the database for its time if the last reading is a second old."""
    reading = _reading
    if reading is None or _steady() - reading[1] > FRESH_SECONDS:
        read()


def host_ahead() -> float:
    """Return the seconds by which this host's clock is ahead (negative: behind)."""
    return time.time() - timestamp()


def describe_difference(host: str, ahead: float) -> str:
    """Return a sentence about the clock of ``host``; empty if it is right."""
    if abs(ahead) <= TOLERATED_SECONDS:
        return ""
    units = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
    length, unit = next((pair for pair in units if abs(ahead) >= 2 * pair[0]), units[-1])
    direction = "ahead of" if ahead > 0 else "behind"
    return f"The clock of {host} is {abs(ahead) / length:.0f} {unit} {direction} the database's."


def _read(connection: Any) -> None:
    global _reading
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    _reading = (row[0], _steady())


def _steady() -> float:
    return time.clock_gettime(_STEADY)


def _follow(connection: Any, **_: Any) -> None:
    if connection.alias == DEFAULT_DB_ALIAS:
        _read(connection.connection)


connection_created.connect(_follow)
