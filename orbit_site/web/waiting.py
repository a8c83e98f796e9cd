"""Requests that wait for work without a thread and without a database connection.

A view that has nothing to give marks its answer (``governance/rest/held.py``). The event loop keeps
the request, and one cheap question per second and process, shared by all, finds out whether asking
the view again makes sense.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from governance.rest import held

log = logging.getLogger(__name__)

#: Requests of a process that may wait; the others are answered at once. A wait keeps a connection,
#: of which a process has 1,000.
MOST_WAITING = 400
LOOK_SECONDS = 1.0
DRAIN_SECONDS = 0.25
#: After an answer that was empty although there is work (of a halted namespace, or not for them),
#: the requests of a queue rest this long, twice as long each time.
REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 4.0
#: What may wait. Whether its client is there is watched from the beginning.
ROUTES = {("POST", "/conductor/tasks/claim")}
_HEADER = held.HEADER.lower().encode()


class Reply(Protocol):
    """An answer of Django."""

    status: int
    headers: list[tuple[bytes, bytes]]


Asked = TypeVar("Asked", bound=tuple[Reply, bytes, bool])


class Gone(Exception):
    """The client went away while it waited."""


class _Queue:
    """Requests that see the same work, in the order in which they came."""

    def __init__(self) -> None:
        self.turns: deque[asyncio.Future[bool]] = deque()
        #: Those that wait, and those that ask again at the moment.
        self.members = 0
        self.rests_until = 0.0
        self._rest = REST_SECONDS

    def next(self) -> None:
        """Let the first one ask again."""
        while self.turns:
            turn = self.turns.popleft()
            if not turn.done():
                turn.set_result(True)
                return

    def found(self) -> None:
        """There was work, so there may be more."""
        self.rests_until, self._rest = 0.0, REST_SECONDS
        self.next()

    def found_nothing(self, now: float) -> None:
        self.rests_until = now + self._rest
        self._rest = min(2 * self._rest, LONGEST_REST_SECONDS)


class WaitingRoom:
    """The waiting requests of a process. Make it on the event loop."""

    def __init__(
        self, has_work: Callable[[], Awaitable[bool]], is_draining: Callable[[], bool]
    ) -> None:
        self._has_work, self._is_draining = has_work, is_draining
        self._queues: dict[str, _Queue] = {}
        self._waiting = 0
        self._is_over = False
        self._look_task: asyncio.Task[None] | None = None
        self._watch_task: asyncio.Task[None] | None = None

    async def hold(
        self,
        first: Asked,
        ask: Callable[[], Awaitable[Asked]],
        leaves: "asyncio.Future[None]",
    ) -> Asked:
        """Return ``first``, or if it is marked, what ``ask`` answers before its time is over.

        ``leaves`` is done when the client has gone. Raises Gone, and what ``ask`` does.
        """
        mark = take_mark(first[0])
        if mark is None or self._waiting >= MOST_WAITING or self._ends():
            return first
        seconds, name = mark
        queue = self._queues.setdefault(name, _Queue())
        queue.members += 1
        self._waiting += 1
        self._keep_looking()
        try:
            return await self._wait(first, ask, queue, seconds, leaves)
        finally:
            self._waiting -= 1
            queue.members -= 1
            if not queue.members:
                del self._queues[name]

    def stop(self) -> None:
        """Answer all that wait, and from now on at once."""
        self._is_over = True
        for queue in self._queues.values():
            for turn in queue.turns:
                if not turn.done():
                    turn.set_result(False)

    async def _wait(
        self,
        empty: Asked,
        ask: Callable[[], Awaitable[Asked]],
        queue: _Queue,
        seconds: float,
        leaves: "asyncio.Future[None]",
    ) -> Asked:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while await _turn(queue, until - loop.time(), leaves):
            try:
                reply = await ask()
            except Gone:
                queue.next()  # what it would have claimed is there
                raise
            # One request of the client's must not use up its rate while it waits.
            is_empty = reply[0].status == HTTPStatus.TOO_MANY_REQUESTS
            if not is_empty and take_mark(reply[0]) is None:
                queue.found()
                return reply
            queue.found_nothing(loop.time())
            if self._ends():
                break
        return empty

    def _ends(self) -> bool:
        return self._is_over or self._is_draining()

    def _keep_looking(self) -> None:
        if self._look_task is None or self._look_task.done():
            self._look_task = asyncio.ensure_future(self._look())
        if self._watch_task is None or self._watch_task.done():
            self._watch_task = asyncio.ensure_future(self._watch())

    async def _look(self) -> None:
        """Ask for work each second, as long as a request waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(LOOK_SECONDS)
            ready = [queue for queue in self._queues.values() if queue.turns]
            if not any(queue.rests_until <= loop.time() for queue in ready):
                continue
            try:
                has_work = await self._has_work()
            except Exception as error:
                # The next one asks again; what is broken for good, the client's next claim says.
                log.debug("Looking for work failed: %s", error)
                continue
            for queue in ready if has_work else ():
                if queue.rests_until <= loop.time():
                    queue.next()

    async def _watch(self) -> None:
        """Answer all at the beginning of a drain."""
        while self._waiting:
            if self._is_draining():
                self.stop()
            await asyncio.sleep(DRAIN_SECONDS)


def take_mark(reply: Reply) -> tuple[float, str] | None:
    """Remove the mark of an answer and return its seconds and queue, or None if it has none."""
    value = next((value for name, value in reply.headers if name.lower() == _HEADER), None)
    if value is None:
        return None
    reply.headers = [(name, value) for name, value in reply.headers if name.lower() != _HEADER]
    seconds, _, name = value.decode().partition(" ")
    return float(seconds), name


async def _turn(queue: _Queue, seconds: float, leaves: "asyncio.Future[None]") -> bool:
    """Wait for a turn and return True; False if the time is over. Raises Gone."""
    turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    queue.turns.append(turn)
    try:
        both: set[asyncio.Future[Any]] = {turn, leaves}
        await asyncio.wait(both, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        if leaves.done():
            # What a client that is gone would claim waits for its lease to expire.
            if turn.done() and turn.result():
                queue.next()
            raise Gone
        return turn.done() and turn.result()
    finally:
        if turn in queue.turns:
            queue.turns.remove(turn)
