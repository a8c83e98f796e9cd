"""May work go on? Asked between stages, between tiers and before every delivery.

A process knows whether it drains and until when, which slots are running, and the stamp by which
its supervisor sees that it is alive. Each slot knows what the gate of its namespace said: the claim
has read it, and the worker's gate monitor reads it four times a second and on every notification.
What was read longer ago than ``FRESH_SECONDS`` counts as a stop for whatever leaves the process. A
stop is raised as ``Interrupted``; the slot then gives the cycle's lease back.
"""

import math
import threading
import time
from collections.abc import Callable

from django.conf import settings

from governance.namespaces import gate

#: How long an answer of the gate holds.
FRESH_SECONDS = 0.75
_LOOK_SECONDS = 0.02


class Interrupted(Exception):
    """The cycle stops here, in good order: its lease is to be given back."""


class Slot:
    """One cycle being run: how long its present act may take, and how long its lease holds.

    ``held_until`` and ``open_until`` are in seconds of ``now()``. A slot past its deadline is hung,
    and loses its lease. A slot that was once ``stopped`` stays so: its cycle is given back, and the
    next claim asks the gate anew.
    """

    def __init__(self, namespace: str = "") -> None:
        self.namespace = namespace
        self.deadline = 0.0
        self.held_until = math.inf
        self.open_until = math.inf
        self.stopped = False

    def saw(self, *, is_open: bool, asked: float) -> None:
        """Note what the gate said when it was ``asked``."""
        if not is_open:
            self.stopped = True
        elif self.open_until != math.inf:
            self.open_until = max(self.open_until, asked + FRESH_SECONDS)

    @property
    def open(self) -> bool:
        """Whether the gate is known to be open. Checked right before a byte leaves."""
        return not self.stopped and now() < self.open_until

    @property
    def holds(self) -> bool:
        """Whether no other worker can have claimed the cycle yet.

        Checked right before a byte leaves: a process may have been suspended after its claim.
        """
        return now() < self.held_until

    @property
    def overrun(self) -> bool:
        """Whether the present act takes longer than it may."""
        return time.monotonic() > self.deadline


class WorkerState:
    """What this process knows of stopping."""

    def __init__(self) -> None:
        # One name bound to a number. A signal handler sets it, so it must need no lock: the
        # interrupted code may hold it.
        self._deadline: float | None = None
        #: Tells the supervisor that this process is alive. The main thread calls it at least every
        #: two seconds.
        self.stamp: Callable[[], None] = lambda: None
        #: Whether a gate monitor looks at the gate for this process. If not, only claims ask it.
        self.watched = False
        self._slots: set[Slot] = set()
        self._thread = threading.local()

    def drain(self, seconds: float) -> None:
        """Start nothing new; let what runs go on for ``seconds``. A second call changes nothing."""
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
        """Return the seconds that running work still has; infinite unless the process drains."""
        deadline = self._deadline
        return float("inf") if deadline is None else deadline - time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether nothing at all may go on here."""
        return self.drained or gate.paused_here()

    @property
    def slots(self) -> list[Slot]:
        """The slots that are running."""
        return list(self._slots)

    def open(self, namespace: str, *, asked: float) -> Slot:
        """Return a slot for a cycle whose claim found the gate open at ``asked``."""
        slot = Slot(namespace)
        if self.watched:
            slot.open_until = asked + FRESH_SECONDS
        self._slots.add(slot)
        return slot

    def close(self, slot: Slot) -> None:
        """Forget a slot whose work is over."""
        self._slots.discard(slot)

    def enter(self, slot: Slot) -> None:
        """Have this thread run ``slot``."""
        self._thread.slot = slot

    def current(self) -> Slot | None:
        """Return the slot that this thread runs, or None."""
        slot: Slot | None = getattr(self._thread, "slot", None)
        return slot

    def check(self, *, leaves: bool = False) -> None:
        """Raise Interrupted if this thread's work may not go on.

        If something ``leaves`` the process and the gate's last answer is too old, wait for the next
        one: no longer than a lease, after which it counts as a stop.
        """
        slot = self.current()
        if self.stopped or (slot is not None and slot.stopped):
            raise Interrupted
        if not leaves or slot is None or slot.open:
            return
        slot.deadline = max(slot.deadline, time.monotonic() + settings.ORBIT_LEASE_SECONDS)
        ends = time.monotonic() + settings.ORBIT_LEASE_SECONDS
        while not slot.open:
            if self.stopped or slot.stopped or time.monotonic() >= ends:
                raise Interrupted
            time.sleep(_LOOK_SECONDS)


def now() -> float:
    """Return seconds of a clock that also runs while this process, or the machine, is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


#: This process's state. It is a global because a signal handler sets it, and because code of every
#: room has to ask it.
process = WorkerState()


def enter(slot: Slot) -> None:
    """Have this thread run ``slot``."""
    process.enter(slot)


def slot() -> Slot:
    """Return the slot of this thread; outside of a runner one whose lease holds for ever."""
    return process.current() or Slot()


def act(seconds: float) -> None:
    """Begin an act of at most ``seconds``: the slot's lease is renewed no longer than that."""
    current = process.current()
    if current is not None:
        current.deadline = time.monotonic() + seconds


def prolong(seconds: float) -> None:
    """Give the present act at least ``seconds`` more, for example while the database is away."""
    current = process.current()
    if current is not None:
        current.deadline = max(current.deadline, time.monotonic() + seconds)


def check(*, leaves: bool = False) -> None:
    """Raise Interrupted if this thread's work may not go on; see ``WorkerState.check``."""
    process.check(leaves=leaves)
