"""Tell a database that is away, or the wrong one, from a statement that is wrong."""

import psycopg
from django.db import InterfaceError, OperationalError, connections

#: True on a standby, and on a primary that was replaced.
IS_READ_ONLY = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"
_READ_ONLY, _NOT_SUPPORTED = "25006", "0A000"
# A standby has no unlogged tables. The state says no more than "not supported", so tell it by the
# server's function that refuses them.
_REFUSES_UNLOGGED = "get_relation_info"
#: Whole classes: connection lost, no resources, shut down or cancelled, failing disk.
_CLASSES = ("08", "53", "57", "58")
#: Read-only, and an idle or long transaction that was ended.
_STATES = {_READ_ONLY, "25P03", "25P04"}
#: A time limit or a lock ended the statement; the server itself is well.
_TOO_SLOW = {"57014", "55P03", "40001", "40P01"}
#: A sequence is at its end: no value of a request is wrong, and it works once it is widened.
_SEQUENCE_FULL = "2200H"
_BY_CLASS = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


class ReadOnlyServer(psycopg.OperationalError):
    """The server accepts no writes: a standby, or a primary that was replaced."""


def require_writes(is_read_only: bool) -> None:
    """Raise ReadOnlyServer if a look at ``IS_READ_ONLY`` says so.

    For looks that only read: an old primary would go on answering that there is nothing to do.
    """
    if is_read_only:
        raise ReadOnlyServer("the server accepts no writes")


def is_away(error: BaseException | None) -> bool:
    """Tell whether the same statement may work later, or on another connection."""
    if isinstance(error, _BY_CLASS):
        return True
    state = sqlstate(error)
    return (
        state in _STATES
        or state == _SEQUENCE_FULL
        or state.startswith(_CLASSES)
        or _misses_unlogged(error)
    )


def is_too_slow(error: BaseException | None) -> bool:
    """Tell whether a time limit, a lock or others ended the statement on a server that is well."""
    return sqlstate(error) in _TOO_SLOW


def is_wrong_server(error: BaseException | None) -> bool:
    """Tell whether a server answered that can't write."""
    return (
        sqlstate(error) == _READ_ONLY
        or _misses_unlogged(error)
        or isinstance(error, ReadOnlyServer)
        or isinstance(getattr(error, "__cause__", None), ReadOnlyServer)
    )


def explain(error: BaseException | None) -> str:
    """Return a sentence for callers: what happened, without details of the server."""
    if is_wrong_server(error):
        return "The database is read-only now. Try again."
    if sqlstate(error) == _SEQUENCE_FULL:
        return "The database has run out of numbers. An operator has to look at its log."
    if is_too_slow(error):
        return "The database didn't finish this in time. Try again."
    return "The database doesn't answer now. Try again."


def refuses_value(error: BaseException | None) -> bool:
    """Tell whether a value that a statement was given is what the database can't take."""
    cause = _driver_error(error)
    if not isinstance(cause, psycopg.DataError):
        return False
    if cause.sqlstate is None:
        return True  # the driver sends no NUL
    # A literal that can't be read has a place in the statement, a bound parameter has its number.
    # What a computation, a column or a sequence refuses has neither.
    details = cause.diag
    return details.statement_position is not None or "parameter $" in (details.context or "")


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of a driver's or Django's error, or ""."""
    cause = _driver_error(error)
    return (cause.sqlstate or "") if cause else ""


def is_lost(error: BaseException | None) -> bool:
    """Tell whether the connection is of no more use: the next may reach another server."""
    if not is_away(error):
        return False
    state = sqlstate(error)
    return (
        not state or state.startswith(("08", "57P")) or state in _STATES or _misses_unlogged(error)
    )


def is_down(error: BaseException | None) -> bool:
    """Tell whether the server is away or full, so that only waiting may help."""
    return is_lost(error) or sqlstate(error).startswith("53")


def drop_connection(error: BaseException | None) -> None:
    """Close this thread's connections if ``error`` made them useless, outside a transaction."""
    if not is_lost(error):
        return
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _driver_error(error: BaseException | None) -> psycopg.Error | None:
    cause = error if isinstance(error, psycopg.Error) else getattr(error, "__cause__", None)
    return cause if isinstance(cause, psycopg.Error) else None


def _misses_unlogged(error: BaseException | None) -> bool:
    cause = _driver_error(error)
    return (
        cause is not None
        and cause.sqlstate == _NOT_SUPPORTED
        and cause.diag.source_function == _REFUSES_UNLOGGED
    )
