"""What counts as a database that is away: with errors of a real server."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
)

from governance.kernel import availability, sql
from orbit_site.processes.postgres import Server
from tests.support.pipeline import rows
from tests.support.polling import until


def provoke(*statements: str) -> DatabaseError | InterfaceError:
    """Return the error of the last of these statements, in this thread's session."""
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except (DatabaseError, InterfaceError) as error:
        return error
    raise AssertionError(f"{statements[-1]} works")


@pytest.fixture
def owner(committed: str, server: Server) -> Iterator[psycopg.Connection]:
    """Another session, which holds a lock on the cycles."""
    with psycopg.connect(server.url("orbit_owner", committed)) as session:
        session.execute("LOCK TABLE orbit_cyclerun IN ACCESS EXCLUSIVE MODE")
        yield session
    connection.close()


def read_only(owner: psycopg.Connection) -> Exception:
    return provoke("SET default_transaction_read_only = on", "DELETE FROM orbit_appliedfiles")


def lock_timeout(owner: psycopg.Connection) -> Exception:
    return provoke("SET lock_timeout = '50ms'", "SELECT 1 FROM orbit_cyclerun")


def statement_timeout(owner: psycopg.Connection) -> Exception:
    return provoke("SET statement_timeout = '50ms'", "SELECT pg_sleep(60)")


def idle_in_transaction(owner: psycopg.Connection) -> Exception:
    [(pid,)] = rows("SELECT pg_backend_pid()")
    with connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = '50ms'")
        cursor.execute("BEGIN")

    def is_ended() -> bool:
        owner.execute("SELECT pg_stat_clear_snapshot()")  # it is kept for a transaction
        alive = owner.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
        return not alive.fetchall()

    until(is_ended, "the session isn't ended")
    return provoke("SELECT 1")


def ended(owner: psycopg.Connection) -> Exception:
    return provoke("SELECT pg_terminate_backend(pg_backend_pid())")


def closed(owner: psycopg.Connection) -> Exception:
    rows("SELECT 1")
    connection.connection.close()
    return provoke("SELECT 1")


@pytest.mark.parametrize(
    ("cause", "sqlstate", "lost"),
    [
        (read_only, "25006", True),
        (lock_timeout, "55P03", False),
        (statement_timeout, "57014", False),
        (idle_in_transaction, "25P03", True),
        (ended, "57P01", True),
        (closed, "", True),
    ],
)
def test_it_is_away_and_the_connection_is_lost(
    owner: psycopg.Connection,
    cause: Callable[[psycopg.Connection], Exception],
    sqlstate: str,
    *,
    lost: bool,
) -> None:
    error = cause(owner)
    assert availability.sqlstate(error) == sqlstate
    assert (availability.is_away(error), availability.is_lost(error)) == (True, lost)


@pytest.mark.parametrize("state", ["25P03", "57P02", "57P03", "08006", "08P01", "53300", "58030"])
def test_a_state_of_the_server_is_away_whatever_its_class(state: str) -> None:
    cause = psycopg.errors.lookup(state)("x")
    assert availability.is_away(cause)
    wrapped = DatabaseError("x")
    wrapped.__cause__ = cause
    assert availability.is_away(wrapped)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1/0",
        "SELECT nothing",
        "INSERT INTO orbit_appliedfiles (id) VALUES (1)",
        "SELECT count(*) FROM orbit_appliedfiles FOR UPDATE",  # 0A000: not supported
    ],
)
def test_a_wrong_statement_is_not_away(statement: str) -> None:
    error = provoke(statement)
    assert not availability.is_away(error)
    assert not availability.is_lost(error)


@pytest.mark.parametrize("error", [ValueError("x"), None, IntegrityError("x")])
def test_another_error_is_not_away(error: Exception | None) -> None:
    assert not availability.is_away(error)


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError, psycopg.OperationalError])
def test_a_client_that_lost_its_connection_is_away(kind: type[Exception]) -> None:
    assert availability.is_lost(kind("the connection is closed"))


def test_a_server_that_is_full_is_down_and_a_collision_is_not() -> None:
    assert availability.is_down(psycopg.errors.lookup("53100")("x"))
    assert availability.is_down(OperationalError("the connection is closed"))
    assert not availability.is_down(psycopg.errors.lookup("55P03")("x"))
    collided = OperationalError("x")
    collided.__cause__ = psycopg.errors.lookup("23505")("x")
    assert not availability.is_down(collided)


def test_a_lost_connection_is_dropped_but_not_after_a_time_limit(owner: psycopg.Connection) -> None:
    availability.drop_connection(statement_timeout(owner))
    assert connection.connection is not None
    availability.drop_connection(read_only(owner))
    assert connection.connection is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "values", "refused"),
    [
        ("SELECT %s::uuid", ["x"], True),
        ("SELECT %s::timestamptz", ["300000-01-01"], True),
        ("SELECT %s", ["\x00"], True),
        ("SELECT %s::bigint", ["99999999999999999999"], True),
        ("SELECT 1 / %s", [0], False),
        ("SELECT (2 ^ 70)::bigint", None, False),
        ("UPDATE governance_audithead SET id = 70000", None, False),
    ],
)
def test_only_a_value_that_cannot_be_read_is_the_callers(
    statement: str, values: list[object] | None, *, refused: bool
) -> None:
    with pytest.raises(DataError) as caught, connection.cursor() as cursor:
        cursor.execute(statement, values)
    assert availability.refuses_value(caught.value) is refused


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("SELECT 1 WHERE %(id)s = gen_random_uuid()", True),
        ("SELECT %(id)s::text::uuid", False),  # computed by the statement
    ],
)
def test_a_bound_parameter_that_cannot_be_read_is_the_callers(
    statement: str, *, refused: bool
) -> None:
    with pytest.raises(DataError) as caught:
        sql.send(statement, {"id": "x"})
    assert availability.refuses_value(caught.value) is refused
