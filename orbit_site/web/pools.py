"""Threads that answer requests, in pools that can't take each other's threads.

Each thread has its own database connection. A call that no thread begins in time is refused; one
that overstays is given up: its connection is cut off and its thread replaced.
"""

import asyncio
import logging
import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from governance.kernel import statement_limit
from orbit_site.web import database

T = TypeVar("T")
log = logging.getLogger(__name__)

#: How often an idle thread with a reserved connection proves it.
IDLE_SECONDS = 5.0
#: Given-up threads that still run, after which the process is replaced.
MOST_GIVEN_UP = 16


class Busy(Exception):
    """No thread began the call in time."""


class Overstayed(Exception):
    """The call took too long and was given up."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many threads a pool has, and its limits in seconds."""

    threads: int
    #: How long a call may wait for a thread.
    wait: float
    #: How long it may then take.
    work: float
    #: How long the thread's connection may take to prove that it is alive.
    proof: float
    #: The threads connect before they are needed, and stay connected.
    reserved: bool = False


class Pool:
    """A pool of threads."""

    def __init__(self, name: str, size: Size) -> None:
        self._name, self._size = name, size
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._given_up: list[_Thread] = []
        for _ in range(size.threads):
            self._start_thread()

    async def run(self, function: Callable[[], T]) -> T:
        """Run ``function`` in a thread and return its result. Raises Busy and Overstayed."""
        call = _Call(function)
        self._calls.put(call)
        await asyncio.wait({call.answer}, timeout=self._size.wait)
        if not call.answer.done():
            if call.take():
                raise Busy
            await asyncio.wait({call.answer}, timeout=self._size.work)
            if not call.answer.done():
                self._give_up(call)
                raise Overstayed
        result: T = call.answer.result()
        return result

    def close(self) -> None:
        """End the threads, each after its present call."""
        for _ in range(self._size.threads):
            self._calls.put(None)

    def _start_thread(self) -> None:
        _Thread(self._name, self._size, self._calls).start()

    def _give_up(self, call: "_Call") -> None:
        thread = call.thread
        if thread is None or not thread.leave(call):
            return
        log.warning("A request of the pool %s took too long and was given up.", self._name)
        self._start_thread()
        self._given_up = [other for other in self._given_up if other.is_alive()] + [thread]
        if len(self._given_up) > MOST_GIVEN_UP:
            log.error("%s threads don't come free: the process is replaced.", len(self._given_up))
            os.kill(os.getpid(), signal.SIGTERM)


class _Call:
    """A function to run, and its future answer."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()
        self.thread: _Thread | None = None
        self._function = function
        self._taken = threading.Lock()

    def take(self) -> bool:
        """Return True to the first caller: a thread that runs it, or the one that withdraws it."""
        return self._taken.acquire(blocking=False)

    def run(self) -> None:
        result, error = None, None
        try:
            result = self._function()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._finish, result, error)

    def _finish(self, result: Any, error: BaseException | None) -> None:
        if error is not None:
            self.answer.set_exception(error)
            self.answer.exception()  # the request may be gone: then it isn't logged
        else:
            self.answer.set_result(result)


class _Thread(threading.Thread):
    """Runs calls until it has to leave."""

    def __init__(self, name: str, size: Size, calls: "queue.SimpleQueue[_Call | None]") -> None:
        super().__init__(name=name, daemon=True)
        self._size, self._calls = size, calls
        self._lock = threading.Lock()
        self._call: _Call | None = None
        self._connection: BaseDatabaseWrapper | None = None
        self._second: BaseDatabaseWrapper | None = None
        self._leaves = False

    def run(self) -> None:
        self._connection, self._second = database.own(), database.second()
        for connection in filter(None, (self._connection, self._second)):
            statement_limit.leave_to(connection)  # a proof, before the next call, ends it
        while not self._leaves:
            if self._size.reserved:
                database.keep_open(self._connection, self._size.proof)
            with suppress(queue.Empty):
                self._run(self._calls.get(timeout=IDLE_SECONDS))
        connections.close_all()

    def leave(self, call: _Call) -> bool:
        """Make the thread end after ``call``, which fails at once if it waits for the database."""
        with self._lock:
            if self._call is not call or self._connection is None:
                return False  # it has just ended
            self._leaves = True
            database.cut_off(self._connection)
            if self._second is not None:
                database.cut_off(self._second)
            return True

    def _run(self, call: _Call | None) -> None:
        if call is None:
            self._leaves = True
            return
        if not call.take():
            return  # it was withdrawn
        call.thread = self
        with self._lock:
            self._call = call
        assert self._connection is not None  # noqa: S101
        database.prove(self._connection, self._size.proof)
        if self._second is not None:
            database.prove(self._second, self._size.proof)
        call.run()
        with self._lock:
            self._call = None
