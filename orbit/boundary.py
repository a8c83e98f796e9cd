"""May work go on? Asked between stages, between tiers and before every single delivery.

One process holds one ``Boundary``: whether it drains and until when, whether its gate is open, and the stamp by which its supervisor
sees that it lives. What stops a cycle is raised as ``Stop``, which the cycle's lane turns into a lease given back.
"""

import threading
import time
from collections.abc import Callable

from governance.namespaces import gate


class Stop(Exception):
    """This process stops here: the lease is to be given back. It is no error: work ends in good order."""


class Boundary:
    """What this process knows of stopping."""

    def __init__(self) -> None:
        self._drain = threading.Event()
        self._deadline = 0.0
        #: Called by the main thread at least every two seconds; the worker process points it at the clock that its supervisor reads.
        self.stamp: Callable[[], None] = lambda: None

    def drain(self, seconds: float) -> None:
        """Start nothing new; what runs may go on for ``seconds``. A second call changes nothing."""
        if not self._drain.is_set():
            self._deadline = time.monotonic() + seconds
            self._drain.set()

    @property
    def draining(self) -> bool:
        """Whether nothing new may start here."""
        return self._drain.is_set()

    @property
    def drained(self) -> bool:
        """Whether the time for what runs is over."""
        return self._drain.is_set() and time.monotonic() >= self._deadline

    def remaining(self) -> float:
        """Seconds that running work still has; infinite when nothing drains."""
        return self._deadline - time.monotonic() if self._drain.is_set() else float("inf")

    def check(self) -> None:
        """Raise Stop where work may not go on."""
        if self.drained or gate.paused_here():
            raise Stop


process = Boundary()


class Lane:
    """One cycle's place in a shift: until when its present act may last. A lane past that is hung, and loses its lease."""

    def __init__(self) -> None:
        self.deadline = 0.0

    @property
    def overrun(self) -> bool:
        """Whether the present act lasts longer than it said."""
        return time.monotonic() > self.deadline


_here = threading.local()


def enter(lane: Lane) -> None:
    """Make ``lane`` the one whose acts this thread performs."""
    _here.lane = lane


def act(seconds: float) -> None:
    """Begin an act that lasts at most ``seconds``: the lease of this thread's lane is renewed no longer than that."""
    lane: Lane | None = getattr(_here, "lane", None)
    if lane is not None:
        lane.deadline = time.monotonic() + seconds
