"""A listener leaves a server that is silent or accepts no writes."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from governance.kernel.availability import ReadOnlyServer
from orbit import interrupts
from orbit.interrupts import WorkerState
from orbit_site.processes import listener as listening
from orbit_site.processes.listener import Listener
from orbit_site.processes.postgres import Server
from tests.support.pipeline import rows
from tests.support.polling import until
from tests.support.read_only import read_only


@pytest.fixture
def listener(committed: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(listening, "VERIFY_SECONDS", 0.1)
    monkeypatch.setattr(listening, "DEADLINE_SECONDS", 1.0)
    listener = Listener("test")
    yield listener
    listener.close()


def raises(listener: Listener) -> psycopg.Error | None:
    try:
        listener.wait(0.05)
    except psycopg.Error as error:
        return error
    return None


def test_it_hears_a_notification_of_a_server_that_it_has_verified(listener: Listener) -> None:
    listener.open()
    assert not listener.wait(0.2)
    assert not listener.wait(0.2)
    rows("SELECT pg_notify('test', '')")
    assert listener.wait(60)


def test_a_server_that_becomes_read_only_is_left(listener: Listener) -> None:
    listener.open().execute("SET default_transaction_read_only = on")
    error = until(lambda: raises(listener), "the listener stays")
    assert isinstance(error, ReadOnlyServer)
    listener.close()
    listener.open()  # the next session is another


def test_a_read_only_server_is_refused_at_once(
    listener: Listener, committed: str, server: Server
) -> None:
    with read_only(server, committed), pytest.raises(ReadOnlyServer):
        listener.open()
    listener.close()
    listener.open()


def test_a_silent_server_is_left_after_a_deadline(listener: Listener) -> None:
    backend = listener.open().info.backend_pid
    os.kill(backend, signal.SIGSTOP)
    try:
        error = until(lambda: raises(listener), "the listener waits for ever")
        assert not isinstance(error, ReadOnlyServer)
        listener.close()
        assert listener.open().info.backend_pid != backend
    finally:
        os.kill(backend, signal.SIGCONT)


@pytest.mark.parametrize("heeds_signals", [True, False])
def test_a_signal_ends_the_waits_of_listeners_that_heed_it(
    committed: str, monkeypatch: pytest.MonkeyPatch, heeds_signals: bool
) -> None:
    state = WorkerState()
    state.signals, end = os.pipe()
    monkeypatch.setattr(interrupts, "process", state)
    listener = Listener("test", heeds_signals=heeds_signals)
    listener.open()
    os.write(end, b"x")
    began = time.monotonic()
    assert not listener.wait(2.0)
    assert (time.monotonic() - began < 2.0) == heeds_signals
    listener.close()
    os.close(end)
    os.close(state.signals)


def test_a_wait_whose_time_is_over_ends_at_once(listener: Listener) -> None:
    """A process that is suspended before it waits may ask for less than no time."""
    listener.open()
    waiting = threading.Thread(target=listener.wait, args=[-1.0], daemon=True)
    waiting.start()
    waiting.join(60.0)
    assert not waiting.is_alive()
