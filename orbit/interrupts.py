"""May work go on? Asked between stages and tiers, and before every delivery.

While a slot is busy, the gate monitor reads the gates four times a second. With an answer older
than ``FRESH_SECONDS`` nothing leaves the process.
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
    """The cycle stops here: give its lease back."""


class Slot:
    """One running cycle: its gate, its lease, and its act's deadline."""

    def __init__(self, namespace: str = "") -> None:
        self.namespace = namespace
        #: Monotonic. After it the slot counts as hung, and loses its lease.
        self.deadline = 0.0
        #: These two are in seconds of ``now()``.
        self.held_until = math.inf
        self.open_until = math.inf
        #: For good: the cycle is given back, and the next claim asks the gate anew.
        self.stopped = False

    def saw(self, *, is_open: bool, read_at: float) -> None:
        """Note what the gate said at ``read_at``."""
        if not is_open:
            self.stopped = True
        elif self.open_until != math.inf:
            self.open_until = max(self.open_until, read_at + FRESH_SECONDS)

    @property
    def open(self) -> bool:
        """Whether the gate is known to be open."""
        return not self.stopped and now() < self.open_until

    @property
    def holds(self) -> bool:
        """Whether no other worker can have claimed the cycle yet."""
        # Checked before a byte leaves: the process may have been suspended after its claim.
        return now() < self.held_until

    @property
    def overrun(self) -> bool:
        """Whether the slot hangs: its act takes longer than it may."""
        return time.monotonic() > self.deadline


class WorkerState:
    """Whether this process drains, and its running slots."""

    def __init__(self) -> None:
        # One name bound to a number. A signal handler sets it, so it must need no lock: the
        # interrupted code may hold it.
        self._deadline: float | None = None
        #: Shows the supervisor that this process is alive. The main thread calls it at least every
        #: two seconds.
        self.stamp: Callable[[], None] = lambda: None
        #: How often the gate monitor or the claims of tasks lost their server. Other connections
        #: may be on that server too.
        self.reconnects = 0
        #: Whether a gate monitor runs in this process. If not, only claims read the gate.
        self.watched = False
        #: A pipe that can be read from the first signal on, if there is one.
        self.signals: int | None = None
        #: Set when a slot opens, for the gate monitor, which clears it.
        self.busy = threading.Event()
        #: Whether this process runs one suspected cycle at a time, and nothing else.
        self.alone = False
        self._slots: set[Slot] = set()
        self._thread = threading.local()

    def drain(self, seconds: float) -> None:
        """Start nothing new; running work has ``seconds``. Only the first call counts."""
        if self._deadline is None:
            self._deadline = time.monotonic() + seconds

    @property
    def draining(self) -> bool:
        """Whether nothing new may start here."""
        return self._deadline is not None

    @property
    def drained(self) -> bool:
        """Whether the time for running work is over."""
        return self.remaining() <= 0

    def remaining(self) -> float:
        """Return the seconds that running work has; infinite unless draining."""
        deadline = self._deadline
        return float("inf") if deadline is None else deadline - time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether all work must stop here."""
        return self.drained or gate.paused_here()

    @property
    def slots(self) -> list[Slot]:
        """The running slots."""
        return list(self._slots)

    def open(self, namespace: str, *, read_at: float) -> Slot:
        """Return a slot for a cycle whose gate was open at ``read_at``."""
        slot = Slot(namespace)
        if self.watched:
            slot.open_until = read_at + FRESH_SECONDS
        self._slots.add(slot)
        self.busy.set()
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

        ``leaves``: wait up to a lease for a fresh answer of the gate.
        """
        slot = self.current()
        if self.stopped or (slot is not None and slot.stopped):
            raise Interrupted
        if not leaves or slot is None or slot.open:
            return
        # Waiting isn't hanging.
        slot.deadline = max(slot.deadline, time.monotonic() + settings.ORBIT_LEASE_SECONDS)
        ends = time.monotonic() + settings.ORBIT_LEASE_SECONDS
        while not slot.open:
            if self.stopped or slot.stopped or time.monotonic() >= ends:
                raise Interrupted
            time.sleep(_LOOK_SECONDS)


def now() -> float:
    """Return seconds of a clock that doesn't stop in suspend."""
    # CLOCK_MONOTONIC stops in suspend on Linux, while the lease goes on in the database.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


#: This process's state. A global, because a signal handler sets it and every room reads it.
process = WorkerState()


def enter(slot: Slot) -> None:
    """Have this thread run ``slot``."""
    process.enter(slot)


def slot() -> Slot:
    """Return this thread's slot; outside of a runner one that holds."""
    return process.current() or Slot()


def act(seconds: float) -> None:
    """Begin an act of at most ``seconds``; later the lease isn't renewed."""
    current = process.current()
    if current is not None:
        current.deadline = time.monotonic() + seconds


def prolong(seconds: float) -> None:
    """Give the present act at least ``seconds`` more."""
    current = process.current()
    if current is not None:
        current.deadline = max(current.deadline, time.monotonic() + seconds)


def check(*, leaves: bool = False) -> None:
    """Do ``WorkerState.check`` in this process."""
    process.check(leaves=leaves)
