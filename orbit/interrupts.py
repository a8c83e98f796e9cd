"""May work go on? Asked between stages, between tiers and before every single delivery.

One process holds one ``Boundary``: whether it drains and until when, which lanes it has, and the stamp by which its supervisor sees that it
lives. Each lane keeps what is known of the gate of its namespace: a claim has read it, and a worker's watch reads it again four times a
second and whenever somebody rings. What was read longer ago than ``FRESH_SECONDS`` counts as a stop for whatever leaves the process. What
stops a cycle is raised as ``Stop``, which the cycle's lane turns into a lease given back.
"""

import math
import threading
import time
from collections.abc import Callable

from django.conf import settings

from governance.namespaces import gate

#: How long a look at the gate holds.
FRESH_SECONDS = 0.75
_LOOK_SECONDS = 0.02


class Interrupted(Exception):
    """This process stops here: the lease is to be given back. It is no error: work ends in good order."""


class WorkerState:
    """What this process knows of stopping."""

    def __init__(self) -> None:
        # One name bound to a number: what a signal's handler sets must need no lock, for the interrupted code may hold it.
        self._deadline: float | None = None
        #: Called by the main thread at least every two seconds; the worker process points it at the clock that its supervisor reads.
        self.stamp: Callable[[], None] = lambda: None
        #: Whether somebody looks at the gate for the lanes of this process. Where nobody does, claims alone ask it.
        self.watched = False
        self._slots: set[Slot] = set()

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

    @property
    def stopped(self) -> bool:
        """Whether nothing at all may go on here."""
        return self.drained or gate.paused_here()

    @property
    def slots(self) -> "list[Slot]":
        """The lanes that are at work."""
        return list(self._slots)

    def open(self, namespace: str, *, asked: float) -> "Slot":
        """Return a new lane for a cycle of ``namespace`` whose claim was ``asked`` for at that moment, and found the gate open."""
        slot = Slot(namespace)
        if self.watched:
            slot.open_until = asked + FRESH_SECONDS
        self._slots.add(slot)
        return slot

    def close(self, slot: "Slot") -> None:
        """Forget a lane whose work is over."""
        self._slots.discard(slot)


class Slot:
    """One cycle's place in a shift: until when its present act may last, and until when its lease certainly holds (``now``'s seconds).

    A lane past its deadline is hung, and loses its lease. One that was found ``stopped`` stays so: its cycle is given back, and whoever claims
    it next asks anew.
    """

    def __init__(self, namespace: str = "") -> None:
        self.namespace = namespace
        self.deadline = 0.0
        self.held_until = math.inf
        self.open_until = math.inf
        self.stopped = False

    def saw(self, *, is_open: bool, asked: float) -> None:
        """Note what somebody found at the gate who had ``asked`` at that moment."""
        if not is_open:
            self.stopped = True
        elif self.open_until != math.inf:
            self.open_until = max(self.open_until, asked + FRESH_SECONDS)

    @property
    def open(self) -> bool:
        """Whether the gate is known to be open. Asked right before a byte leaves."""
        return not self.stopped and now() < self.open_until

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


process = WorkerState()
_here = threading.local()


def enter(slot: Slot) -> None:
    """Make ``lane`` the one whose acts this thread performs."""
    _here.slot = slot


def slot() -> Slot:
    """Return the lane of this thread; outside of a shift one that holds for ever."""
    found: Slot | None = getattr(_here, "slot", None)
    return found or Slot()


def act(seconds: float) -> None:
    """Begin an act that lasts at most ``seconds``: the lease of this thread's lane is renewed no longer than that."""
    slot: Slot | None = getattr(_here, "slot", None)
    if slot is not None:
        slot.deadline = time.monotonic() + seconds


def prolong(seconds: float) -> None:
    """Give the present act at least ``seconds`` more: for a wait that is nobody's fault here, such as for a database that is away."""
    slot: Slot | None = getattr(_here, "slot", None)
    if slot is not None:
        slot.deadline = max(slot.deadline, time.monotonic() + seconds)


def check(*, leaves: bool = False) -> None:
    """Raise Stop where this thread's work may not go on.

    Where something ``leaves`` the process, a look at the gate that is too old is waited for, no longer than a lease, and then is a stop.
    """
    slot: Slot | None = getattr(_here, "slot", None)
    if process.stopped or (slot is not None and slot.stopped):
        raise Interrupted
    if not leaves or slot is None or slot.open:
        return
    prolong(settings.ORBIT_LEASE_SECONDS)
    ends = time.monotonic() + settings.ORBIT_LEASE_SECONDS
    while not slot.open:
        if process.stopped or slot.stopped or time.monotonic() >= ends:
            raise Interrupted
        time.sleep(_LOOK_SECONDS)
