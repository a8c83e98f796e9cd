"""A connection is proved before its use, and cut off from outside."""

import threading
import time

import pytest
from django.db import OperationalError, connection

from governance.kernel import statement_limit
from orbit_site.web import database
from tests.support.silent_proxy import SilentProxy


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_connection_that_answers_is_kept(committed: str) -> None:
    before = backend()
    for _ in range(3):
        database.prove(database.own(), 10)
    assert backend() == before


def test_a_silent_connection_is_replaced_within_the_time(
    committed: str, proxy: SilentProxy
) -> None:
    connection.close()
    before = backend()
    proxy.silence()
    began = time.monotonic()
    database.prove(database.own(), 0.25)
    assert connection.connection is None
    assert backend() != before
    assert time.monotonic() - began < 10  # without the proof: for ever


def test_a_connection_that_the_server_ended_is_replaced(committed: str) -> None:
    before = backend()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [before])
    other.close()
    database.prove(database.own(), 10)
    assert backend() != before


def test_a_thread_that_waits_for_a_silent_server_comes_free(
    committed: str, proxy: SilentProxy
) -> None:
    raised: list[BaseException] = []
    ours = []

    def wait() -> None:
        ours.append(connection.copy())
        try:
            with ours[0].cursor() as cursor:
                cursor.execute("SELECT 1")
                proxy.silence()
                cursor.execute("SELECT 2")
        except OperationalError as error:
            raised.append(error)
        ours[0].close()

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(1)
    assert thread.is_alive()
    database.cut_off(ours[0])
    thread.join(60)
    assert len(raised) == 1


def test_cutting_off_what_is_not_connected_does_nothing(committed: str) -> None:
    connection.close()
    database.cut_off(connection)
    database.prove(connection, 1)
    assert connection.connection is None


@pytest.mark.parametrize("seconds", [10])
def test_a_reserved_connection_is_opened_before_it_is_needed_and_has_no_end(
    committed: str, seconds: int
) -> None:
    connection.close()
    database.keep_open(database.own(), seconds)
    assert connection.connection is not None
    assert connection.close_at is None


def test_the_limit_that_a_page_leaves_ends_with_the_proof_before_the_next_call(
    committed: str,
) -> None:
    def limit() -> str:
        with ours.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return str(cursor.fetchone()[0])

    ours = database.own()
    statement_limit.leave_to(ours)
    try:
        own = limit()
        with statement_limit.statement_limit(3):
            assert limit() == "3s"
        assert limit() == "3s"
        database.prove(ours, 10)
        assert limit() == own != "3s"
    finally:
        del ours.orbit_resets_limits
