"""Closes idle connections early if too many are open.

An idle connection may stay for ORBIT_KEEP_ALIVE_SECONDS, for the sake of proxies. A client that
opens many and sends nothing must not take all of them for so long.
"""

import asyncio
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings

Peer = tuple[str, int]
#: From so many open files on, connections must not idle for longer than ``IDLE_SECONDS``.
MANY = 500
IDLE_SECONDS = 15.0
LOOK_SECONDS = 2.0
_TCP = {socket.AF_INET, socket.AF_INET6}


class IdleConnections:
    """The connections of this process: since when each is idle."""

    def __init__(self) -> None:
        self._active: dict[Peer, int] = {}
        self._idle_since: dict[Peer, float] = {}

    def began(self, peer: Peer) -> None:
        """Note that a request of ``peer`` is under way."""
        self._active[peer] = self._active.get(peer, 0) + 1
        self._idle_since.pop(peer, None)

    def ended(self, peer: Peer) -> None:
        """Note that a request of ``peer`` has its answer."""
        left = self._active.pop(peer) - 1
        if left:
            self._active[peer] = left

    async def watch(self) -> None:
        """Look for idle connections, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(OSError):
                if sum(1 for _ in Path("/dev/fd").iterdir()) > MANY:
                    self.close_idle(time.monotonic())
                else:
                    self._idle_since.clear()

    def close_idle(self, now: float) -> int:
        """Close what is idle for too long at ``now``; return how many."""
        before, self._idle_since = self._idle_since, {}
        closed = 0
        for peer, connection in connections(settings.ORBIT_PORT):
            if peer in self._active:
                continue
            since = before.get(peer, now)
            if now - since < IDLE_SECONDS:
                self._idle_since[peer] = since
                continue
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
                closed += 1
        return closed


def peer_of(client: tuple[str, str | int]) -> Peer:
    """Return the peer that the server calls ``client``."""
    return client[0].partition("%")[0], int(client[1])  # without the zone of a link


def connections(port: int | None = None) -> Iterator[tuple[Peer, socket.socket]]:
    """Yield this process's TCP connections, on a port of its own, as copies to be closed."""
    for number in (int(entry.name) for entry in Path("/dev/fd").iterdir()):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            copy = socket.socket(fileno=os.dup(number))
            with copy:
                # Others, such as those to the database, have another port at our end.
                if copy.family in _TCP and port in {None, copy.getsockname()[1]}:
                    yield peer_of(copy.getpeername()[:2]), copy
