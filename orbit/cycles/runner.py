"""A shift: one queue task that carries the cycles that are due, side by side in lanes.

A queue worker runs one task at a time, and a slow receiver would hold it; so the task claims up to ``ORBIT_CONCURRENCY`` cycles, takes the next
as a lane gets free, and stops claiming when nothing is due, or after ten seconds; but while a lane is busy and no other task waits for this
worker it goes on, so that one slow receiver doesn't idle the other lanes. The shift's own thread, the process's main one, claims,
renews the leases of lanes that keep their deadlines, and gives the sign of life; lanes are threads that work.

A lane that overruns its deadline is hung: its lease isn't renewed, its cycle goes to another worker, and this process takes nothing new,
lets the other lanes finish, and ends.
"""

import logging
import os
import queue as queues
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from orbit import interrupts, queue
from orbit.cycles import advance, lease
from orbit.dispatch.state import DispatchState
from orbit.interrupts import Slot
from orbit.records.fence import ClaimedCycle

logger = logging.getLogger(__name__)

CLAIMING_SECONDS = 10.0
BEAT_SECONDS = 0.5
# A task that no other worker has taken for so long is waiting for this one.
OTHERS_SECONDS = 1.0
# A round of the loop that takes longer than this was no round: the process was stopped, or waited for the database.
STANDSTILL_SECONDS = 5.0
# What a lane may take for acts that name no deadline of their own: statements of the pipeline.
ACT_SECONDS = 30.0
COMPLAINT_SECONDS = 60.0


@dataclass(slots=True)
class _Carried:
    work: ClaimedCycle
    slot: Slot
    held: bool = True


@dataclass(slots=True)
class _Shift:
    carried: dict[int, _Carried] = field(default_factory=dict)
    done: "queues.SimpleQueue[tuple[int, float | None]]" = field(default_factory=queues.SimpleQueue)
    due: datetime | None = None
    renewed: float = field(default_factory=time.monotonic)
    beat: float = field(default_factory=time.monotonic)
    tidied: float = field(default_factory=time.monotonic)
    number: int = 0
    alone: bool = False
    hung: bool = False

    def free(self) -> int:
        return 0 if self.alone else settings.ORBIT_CONCURRENCY - len(self.carried)


class Lanes:
    """The lane threads of this process; they keep their database connections from shift to shift."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.dispatch = DispatchState()
        self._tasks: queues.SimpleQueue[Callable[[], None]] = queues.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    def start(self, task: Callable[[], None]) -> None:
        """Run ``task`` in a lane's thread, made when none is idle."""
        if not self._idle.acquire(blocking=False):
            thread = threading.Thread(
                target=self._run, name=f"slot-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        self._tasks.put(task)

    def _run(self) -> None:
        while True:
            self._tasks.get()()
            self._idle.release()


_slots: Lanes | None = None


def _pool() -> Lanes:
    global _slots
    if _slots is None or _slots.pid != os.getpid():
        _slots = Lanes()
    return _slots


def run(*, seconds: float = CLAIMING_SECONDS) -> datetime | None:
    """Carry what is due; return when the next cycle that this shift gave back, or left, is due. None: nothing is known to be.

    Call it in the process's main thread. It claims for at most ``seconds``, then lets its lanes finish. A database error ends the
    claiming; the lanes deal with it themselves.
    """
    shift, ends = _Shift(), time.monotonic() + seconds
    claiming = True
    while claiming or shift.carried:
        interrupts.process.stamp()
        _beat(shift)
        if claiming:
            claiming = _claim(shift, ends)
        if not shift.carried:
            break
        _wait(shift)
        # The wait is where a stopped process stands still: first the lanes get that time, then they are judged.
        _beat(shift)
        _renew(shift)
        if interrupts.process.drained and not _settle(shift):
            break
    _attempt(lambda: _look_ahead(shift))
    return shift.due


def hung() -> bool:
    """Tell whether a lane of this process was found hung: then the process is to end after its shift."""
    return _hung


_hung = False


def _beat(shift: _Shift) -> None:
    """Give the lanes the time in which this whole process stood still: one that was stopped and goes on finds them late, not hung."""
    lost = time.monotonic() - shift.beat
    shift.beat += lost
    if lost > STANDSTILL_SECONDS:
        for carried in shift.carried.values():
            carried.slot.deadline += lost


def _claim(shift: _Shift, ends: float) -> bool:
    """Fill the free lanes with due cycles; return whether to claim on."""
    if interrupts.process.draining or shift.hung:
        return False
    free = shift.free()
    asked = interrupts.now()
    try:
        if time.monotonic() >= ends and not _goes_on(shift):
            shift.due = datetime.now(UTC)
            return False
        if free <= 0:
            return True
        works = [] if shift.carried else lease.claim(1, alone=True)
        shift.alone = bool(works)
        works = works or lease.claim(free)
    except (DatabaseError, InterfaceError) as exc:
        complain("claiming stops", exc)
        connection.close()
        shift.due = datetime.now(UTC) + timedelta(seconds=1)
        return False
    for work in works:
        _carry(shift, work, asked=asked)
    return bool(works) or bool(shift.carried)


def _goes_on(shift: _Shift) -> bool:
    """Tell whether a shift whose time is over claims on, beside a lane that is busy; the wake-ups that it makes superfluous go."""
    if not shift.carried or queue.tasks_wait(OTHERS_SECONDS):
        return False
    if time.monotonic() - shift.tidied > CLAIMING_SECONDS:
        shift.tidied = time.monotonic()
        queue.collapse()
    return True


def _carry(shift: _Shift, work: ClaimedCycle, *, asked: float) -> None:
    shift.number += 1
    number, slot = shift.number, interrupts.process.open(work.namespace, asked=asked)
    slot.held_until = asked + settings.ORBIT_LEASE_SECONDS
    slot.deadline = time.monotonic() + ACT_SECONDS
    shift.carried[number] = _Carried(work, slot)

    pool = _pool()

    def task() -> None:
        wait: float | None = None
        interrupts.enter(slot)
        try:
            wait = advance.run(work, dispatch=pool.dispatch, worker=lease.owner())
        except Exception:
            logger.exception("slot of cycle %s", work.id)
        finally:
            interrupts.process.close(slot)
            shift.done.put((number, wait))

    pool.start(task)


def _wait(shift: _Shift) -> None:
    """Take the lanes that have finished, waiting for one no longer than a beat."""
    try:
        finished = [shift.done.get(timeout=BEAT_SECONDS)]
    except queues.Empty:
        return
    while not shift.done.empty():
        finished.append(shift.done.get())
    for number, wait in finished:
        shift.carried.pop(number, None)
        if wait is not None:
            due = datetime.now(UTC) + timedelta(seconds=wait)
            shift.due = due if shift.due is None else min(shift.due, due)
    if not shift.carried:
        shift.alone = False


def _renew(shift: _Shift) -> None:
    """Renew the leases of lanes inside their deadlines, all in one statement, each third of a lease."""
    global _hung
    if time.monotonic() - shift.renewed < settings.ORBIT_LEASE_SECONDS / 3:
        return
    shift.renewed = time.monotonic()
    for carried in shift.carried.values():
        if carried.held and carried.slot.overrun:
            logger.error(
                "the lane of cycle %s is hung: its lease is left to run out", carried.work.id
            )
            carried.held, shift.hung, _hung = False, True, True
    held = [carried for carried in shift.carried.values() if carried.held]
    if held and not _attempt(lambda: _extend(held)):
        # At the next beat again: a database that is back may find leases that still hold.
        shift.renewed = float("-inf")
    if shift.hung and not held:
        # Nobody waits for a hung lane: its thread ends with the process.
        shift.carried.clear()


def _extend(held: list[_Carried]) -> None:
    """Renew the leases of ``held``; each that is still ours holds for a term from the moment before it was asked for."""
    asked = interrupts.now()
    ours = lease.renew([carried.work for carried in held])
    for carried in held:
        if carried.work.id in ours:
            carried.slot.held_until = asked + settings.ORBIT_LEASE_SECONDS


def _settle(shift: _Shift) -> bool:
    """At the end of a drain, give back what the lanes still hold; return whether to wait on for lanes at a boundary."""
    if interrupts.process.remaining() > -1.0:
        return True
    held = [carried.work for carried in shift.carried.values() if carried.held]
    if held:
        _attempt(lambda: lease.give_back(held, wait=0.0))
    shift.carried.clear()
    return False


def _look_ahead(shift: _Shift) -> None:
    """Find when the next cycle that nobody holds is due; the shift leaves a wake-up for then."""
    found = lease.next_due()
    if found is not None:
        shift.due = found if shift.due is None else min(shift.due, found)


def _attempt(act: Callable[[], object]) -> bool:
    """Do what may fail with the database, and tell whether it was done: the next beat, the next shift or the keeper makes good what was not."""
    try:
        act()
    except (DatabaseError, InterfaceError) as exc:
        complain("the database is away", exc)
        connection.close()
        return False
    return True


_complained = float("-inf")


def complain(what: str, trouble: Exception) -> None:
    """Log what ails the database, once a minute: while it does, a shift ends every half second."""
    global _complained
    if time.monotonic() - _complained > COMPLAINT_SECONDS:
        _complained = time.monotonic()
        logger.warning("%s: %s", what, " ".join(str(trouble).split()))
