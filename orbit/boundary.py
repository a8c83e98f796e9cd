"""May work go on? Asked between stages, between tiers and before every single delivery.

One process holds one ``Boundary``: whether it drains and until when, whether its gate is open, and the stamp by which its supervisor
sees that it lives. What stops a cycle is raised as ``Stop``, which the cycle's lane turns into a lease given back.
"""

import math
import threading
import time
from collections.abc import Callable

from governance.namespaces import gate


class Stop(Exception):
    """This process stops here: the lease is to be given back. It is no error: work ends in good order."""


class Boundary:
    """What this process knows of stopping."""

    def __init__(self) -> None:
        # One name bound to a number: what a signal's handler sets must need no lock, for the interrupted code may hold it.
        self._deadline: float | None = None
        #: Called by the main thread at least every two seconds; the worker process points it at the clock that its supervisor reads.
        self.stamp: Callable[[], None] = lambda: None

    def drain(self, seconds: float) -> None:
        """Start nothing new; what runs may go on for ``seconds``. A second call changes nothing."""
        if self._deadline is None:
            self._deadline = time.monotonic() + seconds

    @property
    def draining(self) -> bool:
        """Whether nothing new may start here."""
        return self._deadline is not None

    @property
    def drained(self) -> bool:
        """Whether the time for what runs is over."""
        return self.remaining() <= 0

    def remaining(self) -> float:
        """Seconds that running work still has; infinite when nothing drains."""
        deadline = self._deadline
        return float("inf") if deadline is None else deadline - time.monotonic()

    def check(self) -> None:
        """Raise Stop where work may not go on."""
        if self.drained or gate.paused_here():
            raise Stop


process = Boundary()


class Lane:
    """One cycle's place in a shift: until when its present act may last, and until when its lease certainly holds (``now``'s seconds).

    A lane past its deadline is hung, and loses its lease.
    """

    def __init__(self) -> None:
        self.deadline = 0.0
        self.held_until = math.inf

    @property
    def holds(self) -> bool:
        """Whether nobody else can have taken the cycle yet. Asked right before a byte leaves: a process that was stopped after its claim may wake late."""
        return now() < self.held_until

    @property
    def overrun(self) -> bool:
        """Whether the present act lasts longer than it said."""
        return time.monotonic() > self.deadline


def now() -> float:
    """Return the seconds of a clock that goes on while this process is stopped, and where the system has one while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_here = threading.local()


def enter(lane: Lane) -> None:
    """Make ``lane`` the one whose acts this thread performs."""
    _here.lane = lane


def lane() -> Lane:
    """Return the lane of this thread; outside of a shift one that holds for ever."""
    found: Lane | None = getattr(_here, "lane", None)
    return found or Lane()


def act(seconds: float) -> None:
    """Begin an act that lasts at most ``seconds``: the lease of this thread's lane is renewed no longer than that."""
    lane: Lane | None = getattr(_here, "lane", None)
    if lane is not None:
        lane.deadline = time.monotonic() + seconds


def prolong(seconds: float) -> None:
    """Give the present act at least ``seconds`` more: for a wait that is nobody's fault here, such as for a database that is away."""
    lane: Lane | None = getattr(_here, "lane", None)
    if lane is not None:
        lane.deadline = max(lane.deadline, time.monotonic() + seconds)
