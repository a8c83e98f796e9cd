"""The threads that make the requests: few, shared by all lanes of a process."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

SENDERS = 16


class Senders:
    """The sender threads of this process and the count of the free ones; made anew after a fork."""

    def __init__(self, size: int) -> None:
        self.pid = os.getpid()
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="sender")
        self._free = size
        self._changed = threading.Condition()

    def submit(self, act: Callable[[], None]) -> None:
        """Have a sender that was taken do ``act``, which gives it back."""
        self._pool.submit(act)

    def take(self, most: int, timeout: float) -> int:
        """Take up to ``most`` free senders; wait for one, at most ``timeout`` seconds; return how many."""
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0, timeout)
            taken = min(most, self._free)
            self._free -= taken
            return taken

    def give(self, count: int) -> None:
        """Give ``count`` senders back."""
        with self._changed:
            self._free += count
            self._changed.notify_all()


_senders: Senders | None = None
_making = threading.Lock()


def pool() -> Senders:
    """Return the senders of this process."""
    global _senders
    with _making:
        if _senders is None or _senders.pid != os.getpid():
            _senders = Senders(SENDERS)
        return _senders
