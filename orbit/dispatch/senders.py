"""The threads that send requests: a limited number, shared by all slots of a process.

An endpoint that doesn't answer gets only a share of them while others are in use. Otherwise it
would hold all until its circuit opens.
"""

import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from uuid import UUID

# Three for each of 8 slots (ORBIT_CONCURRENCY): the items of three tiers to one endpoint
# all begin in the write that enqueues them.
SENDERS = 24
# A slot that could use more senders waits while others become free at this pace, up to a total.
PACE_SECONDS, GATHER_SECONDS = 0.008, 0.04
# An endpoint is in use for this long after its last claim.
IN_USE_SECONDS = 10.0
# A slow endpoint may have SHARED / (endpoints in use) senders, at least FEWEST: 12 if two are in
# use, 8 if three, 4 if six or more. One that gave no answer for IN_USE_SECONDS is probably dead,
# and gets UNHEARD.
FEWEST, SHARED, UNHEARD = 4, 24, 2
# An endpoint is healthy if it answered within this time, as quickly. Its share is not limited.
HEALTHY_SECONDS = 0.5


class SenderPool:
    """The sender threads of a process. Create it after the fork."""

    def __init__(self, size: int = SENDERS) -> None:
        self._size = self._free = size
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._turn, self._lock = threading.Lock(), threading.Lock()
        # How many senders the slot that has the turn waits for, and what wakes it.
        self._needed, self._enough = 0, queue.SimpleQueue[None]()
        # Per endpoint (monotonic seconds): its requests in flight and since when there are any,
        # when it was last claimed for, and when it last answered, and answered quickly.
        self._in_flight: Counter[UUID | None] = Counter()
        self._since: dict[UUID | None, float] = {}
        self._used: dict[UUID | None, float] = {}
        self._answered: dict[UUID | None, float] = {}
        self._quick: dict[UUID | None, float] = {}
        # The tasks of senders, and threads for them. Most requests need none, so a thread starts
        # with the task that finds none free.
        self._running = self._threads = 0
        self._start()

    def _serve(self) -> None:
        while True:
            self._tasks.get()()
            with self._lock:
                self._running -= 1

    def _start(self) -> None:
        name = f"sender-{self._threads}"
        self._threads += 1
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def submit(self, task: Callable[[], None]) -> None:
        """Run ``task`` in a taken sender. It calls ``end``, and never raises."""
        self._tasks.put(task)
        with self._lock:
            self._running += 1
            if self._threads < min(self._running, self._size):
                try:
                    self._start()
                except RuntimeError:  # the system has no thread left: the others do it later
                    self._threads -= 1

    def take(self, most: int, timeout: float) -> int:
        """Take up to ``most`` senders, wait ``timeout`` seconds for one; return how many."""
        if not self._turn.acquire(timeout=timeout):
            return 0
        try:
            most = min(most, self._size)
            return self._gather(most) or self._await(1, most, timeout)
        finally:
            self._turn.release()

    def take_free(self, most: int) -> int:
        """Take up to ``most`` senders that are free now; none while a slot waits for some."""
        if not self._turn.acquire(blocking=False):
            return 0
        try:
            with self._lock:
                taken = min(most, self._free)
                self._free -= taken
            return taken
        finally:
            self._turn.release()

    def _gather(self, most: int) -> int:
        """Take ``most`` senders, or what is free once no more become free."""
        # Eight jobs in one wave cost one commit; eight waves of one job cost eight.
        until, before = time.monotonic() + GATHER_SECONDS, -1
        while True:
            with self._lock:
                free = self._free
            patience = (
                PACE_SECONDS if free < most and free != before and time.monotonic() < until else 0.0
            )
            if not patience and not free:
                return 0
            taken = self._await(most if patience else 1, most, patience)
            if taken or not patience:
                return taken
            before = free

    def _await(self, least: int, most: int, timeout: float) -> int:
        """Take up to ``most`` senders once ``least`` are free; 0 after ``timeout``."""
        until = time.monotonic() + timeout
        while True:
            with self._lock:
                if self._free >= least:
                    taken = min(most, self._free)
                    self._free -= taken
                    self._needed = 0
                    return taken
                self._needed = least
            try:
                self._enough.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return 0

    def give_back(self, count: int) -> None:
        """Give back ``count`` unused senders."""
        with self._lock:
            self._free += count
            self._wake()

    def end(
        self, endpoint: UUID | None, seconds: float | None = None, *, answered: bool = True
    ) -> None:
        """Give back a sender. ``seconds``: of its request, None without one."""
        self.end_all([(endpoint, seconds, answered)])

    def end_all(self, ended: Iterable[tuple[UUID | None, float | None, bool]]) -> None:
        """Give back senders; for each its endpoint, seconds, and whether it was answered."""
        now = time.monotonic()
        with self._lock:
            for endpoint, seconds, answered in ended:
                self._free += 1
                self._in_flight[endpoint] -= 1
                if not self._in_flight[endpoint]:
                    del self._in_flight[endpoint]
                    del self._since[endpoint]
                quick = seconds is not None and seconds < HEALTHY_SECONDS
                if quick or (seconds is not None and answered):
                    self._answered[endpoint] = now
                if quick:
                    self._quick[endpoint] = now
            self._wake()

    def _wake(self) -> None:
        """Wake the waiting slot if enough senders are free. Needs the lock."""
        if 0 < self._needed <= self._free:
            self._needed = 0
            self._enough.put(None)

    def begin(self, endpoints: Iterable[UUID | None]) -> None:
        """Count a request to each of ``endpoints``."""
        now = time.monotonic()
        with self._lock:
            for endpoint in endpoints:
                self._since.setdefault(endpoint, now)
                self._in_flight[endpoint] += 1
                self._used[endpoint] = now

    def full(self) -> list[UUID]:
        """Return the unhealthy endpoints that have their share of the senders."""
        now = time.monotonic()
        with self._lock:
            if len(self._used) > 1:
                self._used = {
                    endpoint: at
                    for endpoint, at in self._used.items()
                    if now - at < IN_USE_SECONDS or endpoint in self._in_flight
                }
                for answers in (self._answered, self._quick):
                    for endpoint in answers.keys() - self._used.keys():
                        del answers[endpoint]
            share = (
                max(FEWEST, SHARED // max(1, len(self._used)))
                if len(self._used) > 1
                else self._size
            )
            return [
                endpoint
                for endpoint, count in self._in_flight.items()
                if endpoint is not None
                and count >= (share if self._answers(endpoint, now) else min(share, UNHEARD))
                and not self._is_healthy(endpoint, now)
            ]

    def silent_seconds(self) -> float | None:
        """Return the shortest silence of the full endpoints, unless it is short."""
        now = time.monotonic()
        full = self.full()
        with self._lock:
            silent = [
                now - max(self._since.get(endpoint, now), self._answered.get(endpoint, 0.0))
                for endpoint in full
            ]
        # Their first answer is worth waiting for if none is silent for long.
        return min((seconds for seconds in silent if seconds > HEALTHY_SECONDS), default=None)

    def _answers(self, endpoint: UUID | None, now: float) -> bool:
        return (
            len(self._used) <= 1 or now - self._answered.get(endpoint, -math.inf) <= IN_USE_SECONDS
        )

    def _is_healthy(self, endpoint: UUID | None, now: float) -> bool:
        return now - self._quick.get(endpoint, -math.inf) <= HEALTHY_SECONDS
