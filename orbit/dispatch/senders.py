"""The threads that make the requests: few, shared by all lanes of a process.

Lanes take turns, and each waits a moment for as many senders as it has jobs: a wave of eight is one commit, eight waves of one are eight.
While several receivers are in use, one that doesn't answer gets a share of the senders: it would hold all of them, until its circuit opens.
"""

import math
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from uuid import UUID

SENDERS = 16
# A lane that could use more senders waits while others keep coming free at this pace, and no longer than that in all.
PACE_SECONDS, GATHER_SECONDS = 0.008, 0.04
# A receiver is in use for so long after its last claim. One that is slow may have 12 senders with two in use, 8 with three, 4 with six or more;
# one from which nothing was heard for so long has to answer these first: if it is dead, they are what it costs the others.
IN_USE_SECONDS = 10.0
FEWEST, SHARED, UNHEARD = 4, 24, 2
# Who has answered within this time, and as quickly, is well.
WELL_SECONDS = 0.5


class Senders:
    """The sender threads of this process, which of them are free, and how many each receiver has."""

    def __init__(self, size: int = SENDERS) -> None:
        self.pid = os.getpid()
        self._size = self._free = size
        self._acts: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._turn, self._lock = threading.Lock(), threading.Lock()
        # How many senders the lane whose turn it is waits for, and what wakes it.
        self._wanted, self._enough = 0, queue.SimpleQueue[None]()
        self._under_way: Counter[UUID | None] = Counter()
        # When each receiver was claimed for last, when what is under way for it began, and when it last gave an answer, and a quick one.
        self._used: dict[UUID | None, float] = {}
        self._since: dict[UUID | None, float] = {}
        self._heard: dict[UUID | None, float] = {}
        self._answered: dict[UUID | None, float] = {}
        for number in range(size):
            threading.Thread(target=self._serve, name=f"sender-{number}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._acts.get()()

    def submit(self, act: Callable[[], None]) -> None:
        """Have a sender that was taken do ``act``, which gives it back and raises nothing."""
        self._acts.put(act)

    def take(self, most: int, timeout: float) -> int:
        """Take up to ``most`` free senders; wait for one, at most ``timeout`` seconds; return how many."""
        if not self._turn.acquire(timeout=timeout):
            return 0
        try:
            most = min(most, self._size)
            return self._gather(most) or self._await(1, most, timeout)
        finally:
            self._turn.release()

    def _gather(self, most: int) -> int:
        """Take ``most`` senders once so many are free, or those that are when no more come; none where none is."""
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
        """Take up to ``most`` once ``least`` are free; none after ``timeout`` seconds."""
        until = time.monotonic() + timeout
        while True:
            with self._lock:
                if self._free >= least:
                    taken = min(most, self._free)
                    self._free -= taken
                    self._wanted = 0
                    return taken
                self._wanted = least
            try:
                self._enough.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return 0

    def give(self, count: int) -> None:
        """Give ``count`` senders back that did nothing."""
        with self._lock:
            self._free += count
            self._wake()

    def end(
        self, receiver: UUID | None, seconds: float | None = None, *, heard: bool = True
    ) -> None:
        """Give a sender back whose request to ``receiver`` is over after ``seconds``, None where none was made; ``heard`` tells of an answer."""
        with self._lock:
            self._free += 1
            self._under_way[receiver] -= 1
            if not self._under_way[receiver]:
                del self._under_way[receiver]
                del self._since[receiver]
            quick = seconds is not None and seconds < WELL_SECONDS
            if quick or (seconds is not None and heard):
                self._heard[receiver] = time.monotonic()
            if quick:
                self._answered[receiver] = time.monotonic()
            self._wake()

    def _wake(self) -> None:
        """Wake the lane that waits, where enough are free for it; the lock is held."""
        if 0 < self._wanted <= self._free:
            self._wanted = 0
            self._enough.put(None)

    def begin(self, receivers: Iterable[UUID | None]) -> None:
        """Note that a request to each of ``receivers`` is under way."""
        now = time.monotonic()
        with self._lock:
            for receiver in receivers:
                self._since.setdefault(receiver, now)
                self._under_way[receiver] += 1
                self._used[receiver] = now

    def full(self) -> list[UUID]:
        """Return the receivers that don't answer and have their share of the senders."""
        now = time.monotonic()
        with self._lock:
            if len(self._used) > 1:
                self._used = {
                    receiver: at
                    for receiver, at in self._used.items()
                    if now - at < IN_USE_SECONDS or receiver in self._under_way
                }
                for answers in (self._heard, self._answered):
                    for receiver in answers.keys() - self._used.keys():
                        del answers[receiver]
            share = (
                max(FEWEST, SHARED // max(1, len(self._used)))
                if len(self._used) > 1
                else self._size
            )
            return [
                receiver
                for receiver, count in self._under_way.items()
                if receiver is not None
                and count >= (share if self._was_heard(receiver, now) else min(share, UNHEARD))
                and not self._well(receiver, now)
            ]

    def silence(self) -> float | None:
        """Return for how many seconds those that have their share give no answer, where that is too long to wait for it here; else None."""
        now = time.monotonic()
        full = self.full()
        with self._lock:
            silent = [
                now - max(self._since.get(receiver, now), self._heard.get(receiver, 0.0))
                for receiver in full
            ]
        return min((seconds for seconds in silent if seconds > WELL_SECONDS), default=None)

    def _was_heard(self, receiver: UUID | None, now: float) -> bool:
        return len(self._used) <= 1 or now - self._heard.get(receiver, -math.inf) <= IN_USE_SECONDS

    def _well(self, receiver: UUID | None, now: float) -> bool:
        return now - self._answered.get(receiver, -math.inf) <= WELL_SECONDS


_senders: Senders | None = None
_making = threading.Lock()


def pool() -> Senders:
    """Return the senders of this process; made anew after a fork."""
    global _senders
    with _making:
        if _senders is None or _senders.pid != os.getpid():
            _senders = Senders()
        return _senders
