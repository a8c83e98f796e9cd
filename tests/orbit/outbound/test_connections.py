import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orbit.outbound import client, connections, pools, transport
from tests.support.polling import until
from tests.support.receiver import Receiver


def post(url: str, *allowed: str) -> client.Response:
    return client.send(client.Request("POST", url, {}, b"x", 1, 1, 2, None), allowed=allowed)


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: list[str]) -> list[str]:
    """Make the resolver return these lists in turn; return the names that it resolves."""
    resolved: list[str] = []

    def resolver(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        resolved.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses[min(len(resolved), len(addresses)) - 1]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolved


def test_the_connection_goes_to_the_checked_address_and_the_name_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved = answers(monkeypatch, ["127.0.0.1"], ["10.9.9.9"])
    with Receiver() as receiver:
        url = f"http://rebinding.example:{receiver.port}/"
        assert post(url, "127.0.0.1").status == 200
        assert post(url, "127.0.0.1").status == 200
        assert receiver.requests[0].headers["host"] == f"rebinding.example:{receiver.port}"
        assert receiver.connections == 1
    assert resolved.count("rebinding.example") == 1


def test_a_new_connection_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ["127.0.0.1"], ["10.9.9.9"])
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0)
    with Receiver() as receiver:
        url = f"http://moving.example:{receiver.port}/"
        assert post(url, "127.0.0.1").status == 200
        answer = post(url, "127.0.0.1")
    assert (answer.error_class, answer.was_sent) == ("refused", False)
    assert "10.9.9.9" in answer.error


def test_an_unreachable_first_address_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        Receiver() as receiver,
        socket.create_server(("127.0.0.2", receiver.port), backlog=0) as full,
    ):
        # A full backlog leaves a SYN unanswered, as a black hole does.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        answers(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        answer = post(f"http://two.example:{receiver.port}/", "127.0.0.0/8")
        for filler in fillers:
            filler.close()
    assert answer.status == 200


def test_a_connection_idle_for_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0)
    with Receiver() as receiver:
        assert [post(receiver.url, "127.0.0.1").status for _ in range(3)] == [200] * 3
        assert receiver.connections == 3


def test_head_and_body_leave_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    send = connections.HTTPConnection.send

    def counted(self: connections.HTTPConnection, data: Any) -> None:
        sizes.append(len(data))
        send(self, data)

    monkeypatch.setattr(connections.HTTPConnection, "send", counted)
    with Receiver() as receiver:
        assert post(receiver.url, "127.0.0.1").status == 200
    assert len(sizes) == 1


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_behind_by_failures() -> None:
    with Receiver(b"SSH-2.0\r\n") as receiver:
        post(receiver.url, "127.0.0.1")
        before = descriptors()
        for _ in range(10):
            post(receiver.url, "127.0.0.1")
        receiver.stop()
        # The receiver's threads close theirs a moment later.
        until(lambda: descriptors() <= before + 2, "descriptors are left behind")


def test_connections_to_hosts_that_are_no_longer_used_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "SWEEP_USES", 1)
    with Receiver() as old, Receiver() as new:
        assert post(old.url, "127.0.0.1").status == 200
        monkeypatch.setattr(transport, "IDLE_SECONDS", 1)
        time.sleep(1.2)
        assert post(new.url, "127.0.0.1").status == 200
        assert transport.adapter.idle == {("http", "127.0.0.1", new.port, ("127.0.0.1",), None): 1}
        assert old.hung_up(60)


def test_idle_connections_to_many_hosts_stay_below_a_bound_and_the_latest_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "SWEEP_USES", 1)
    monkeypatch.setattr(transport, "IDLE_IN_ALL", 3)
    transport.adapter.close()
    with ExitStack() as stack:
        receivers = [stack.enter_context(Receiver()) for _ in range(6)]
        for receiver in receivers:
            assert post(receiver.url, "127.0.0.1").status == 200
        assert sum(transport.adapter.idle.values()) <= 4
        assert post(receivers[-1].url, "127.0.0.1").status == 200
        assert receivers[-1].connections == 1
        assert receivers[0].hung_up(60)
