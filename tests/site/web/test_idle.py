"""Idle connections are closed early only if many are open."""

import asyncio
import socket
from typing import Any

import pytest

from orbit_site.web import idle
from orbit_site.web.idle import IDLE_SECONDS, IdleConnections


@pytest.fixture
def listener(settings: Any) -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.ORBIT_PORT = listener.getsockname()[1]
        yield listener


def accepted(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(listener.getsockname(), timeout=60)
    return client, listener.accept()[0]


def test_an_idle_one_is_closed_after_a_while_one_with_a_request_and_foreign_ones_are_not(
    listener: socket.socket,
) -> None:
    connections = IdleConnections()
    (idler, one), (asking, two) = accepted(listener), accepted(listener)
    with socket.create_server(("127.0.0.1", 0)) as database:
        elsewhere, three = accepted(database)
    with idler, asking, elsewhere, one, two, three:
        connections.began(asking.getsockname())
        assert connections.close_idle(1000.0) == 0
        assert connections.close_idle(1000.0 + IDLE_SECONDS) == 1
        assert idler.recv(1) == b""
        connections.ended(asking.getsockname())
        assert connections.close_idle(1001.0 + IDLE_SECONDS) == 0  # idle only now
        for end, other in ((asking, two), (elsewhere, three)):
            other.sendall(b"x")
            assert end.recv(1) == b"x"


def test_a_request_begins_the_time_anew(listener: socket.socket) -> None:
    connections = IdleConnections()
    client, other = accepted(listener)
    with client, other:
        assert connections.close_idle(1000.0) == 0
        connections.began(client.getsockname())
        connections.ended(client.getsockname())
        assert connections.close_idle(1000.0 + IDLE_SECONDS) == 0


@pytest.mark.parametrize(("many", "closed"), [(0, True), (1_000_000, False)])
def test_it_looks_by_itself_and_closes_nothing_while_few_are_open(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, many: int, closed: bool
) -> None:
    monkeypatch.setattr(idle, "MANY", many)
    monkeypatch.setattr(idle, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.02)
    client, other = accepted(listener)
    client.setblocking(False)

    async def is_closed() -> bool:
        watching = asyncio.ensure_future(IdleConnections().watch())
        try:
            async with asyncio.timeout(60 if closed else 0.5):
                return await asyncio.get_running_loop().sock_recv(client, 1) == b""
        except TimeoutError:
            return False
        finally:
            watching.cancel()

    with client, other:
        assert asyncio.run(is_closed()) is closed
