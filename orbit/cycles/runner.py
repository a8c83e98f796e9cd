"""Claim due cycles in one queue task and run them side by side in slots.

A queue worker runs one task at a time, so a slow endpoint would block it. Slots are threads; the
main thread claims, renews leases and stamps the clock that the supervisor reads.
"""

import logging
import math
import queue as queues
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from governance.kernel import clock
from governance.kernel.throttled_log import ThrottledLog
from orbit import interrupts, queue
from orbit.cycles import advance, finish, lease, stages
from orbit.cycles.cursor import Cursor, SuspectedCursor
from orbit.dispatch.state import DispatchState
from orbit.interrupts import Slot
from orbit.records import fence
from orbit.records.fence import ClaimedCycle
from orbit.records.writer import Writer

logger = logging.getLogger(__name__)

# After this time, claim only beside a busy slot: one slow endpoint must not idle the others.
CLAIMING_SECONDS = 10.0
BEAT_SECONDS = 0.5
# While more cycles are due than there are slots, slots that become free within this time share a
# claim.
GATHER_SECONDS = 0.005
# A task that no other worker took within this time waits for this one.
OTHERS_SECONDS = 1.0
# An idle slot looks this often whether its connection is still good for anything.
IDLE_SECONDS = 5.0
# If one iteration takes longer, the process was suspended or blocked on the database.
STANDSTILL_SECONDS = 5.0
# What a slot may take for acts without a deadline of their own: statements of the pipeline.
ACT_SECONDS = 30.0


class WorkerProcess:
    """What a worker process keeps between runners. Make it after the fork."""

    def __init__(self) -> None:
        self.hung = False  # a slot was: the process has to end
        #: The answer of a claim was lost: it may have taken cycles that no slot runs.
        self.claim_unknown = False
        self.dispatch = DispatchState()
        self.writer = Writer(lambda: interrupts.process.reconnects)
        self.cursor, self.suspected = Cursor(), SuspectedCursor()
        self.log = ThrottledLog(logger.warning)
        self._tasks: queues.SimpleQueue[Callable[[], None]] = queues.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    def warm_up(self) -> None:
        """Have the database plan the statements of cycles before the first one is claimed."""
        self.writer.warm_up(
            fence.write_of_no_cycle(statement)
            for statement in (stages.START_AND_PREPARE, finish.CLOSE_DELIVERIES)
        )

    def start(self, task: Callable[[], None]) -> None:
        """Run ``task`` in an idle slot thread, or a new one."""
        # Threads stay, and keep their database connections.
        if not self._idle.acquire(blocking=False):
            name = f"slot-{len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._tasks.put(task)

    def _run(self) -> None:
        reconnects = interrupts.process.reconnects
        while True:
            task = self._next_task()
            if reconnects != interrupts.process.reconnects:
                # The server of this thread's connection may be silent, or no longer the primary.
                reconnects = interrupts.process.reconnects
                connection.close()
            if task is not None:
                task()
                self._idle.release()

    def _next_task(self) -> Callable[[], None] | None:
        try:
            return self._tasks.get(timeout=IDLE_SECONDS)
        except queues.Empty:
            return None


def run(worker: WorkerProcess, *, seconds: float = CLAIMING_SECONDS) -> datetime | None:
    """Run due cycles in the main thread; return when the next one is due, if known.

    Claim for ``seconds``, then let the slots finish.
    """
    worker.cursor.restart()
    return _Runner(worker).run(time.monotonic() + seconds)


def run_alone(worker: WorkerProcess) -> bool:
    """Run due suspected cycles, one after the other; return whether there was one."""
    runner = _Runner(worker)
    runner.run(math.inf)
    return runner.number > 0


@dataclass(slots=True)
class _RunningCycle:
    cycle: ClaimedCycle
    slot: Slot
    held: bool = True


@dataclass(slots=True)
class _Runner:
    worker: WorkerProcess
    running: dict[int, _RunningCycle] = field(default_factory=dict)
    done: "queues.SimpleQueue[tuple[int, float | None]]" = field(default_factory=queues.SimpleQueue)
    due: datetime | None = None
    renewed: float = field(default_factory=time.monotonic)
    beat: float = field(default_factory=time.monotonic)
    collapsed: float = field(default_factory=time.monotonic)
    number: int = 0
    #: The last claim took as many as it might.
    is_backlog: bool = False
    hung: bool = False

    def run(self, ends: float) -> datetime | None:
        claiming = True
        while claiming or self.running:
            interrupts.process.stamp()
            self._allow_for_standstill()
            if claiming:
                claiming = self._claim(ends)
            if not self.running:
                break
            self._wait()
            # A suspended process stands still in this wait. First give the slots that time, then
            # check their deadlines.
            self._allow_for_standstill()
            self._renew()
            if interrupts.process.drained and not self._settle():
                break
        self._attempt(self._look_ahead)
        return self.due

    def _allow_for_standstill(self) -> None:
        lost = time.monotonic() - self.beat
        self.beat += lost
        if lost > STANDSTILL_SECONDS:
            for running in self.running.values():
                running.slot.deadline += lost  # late, not hung

    def _claim(self, ends: float) -> bool:
        """Fill the free slots; return whether to go on claiming."""
        if interrupts.process.draining or self.hung:
            return False
        free = self._free_slots()
        claimed_at = interrupts.now()
        try:
            clock.refresh()  # the slots give their rows ids of this time
            if time.monotonic() >= ends and not self._may_claim_longer():
                self.due = clock.now()
                return False
            if free <= 0:
                return True
            self._give_back_unstarted()
            cycles = self._claim_cycles(free)
        except (DatabaseError, InterfaceError) as exc:
            # It ends the claiming only: the slots wait for the database themselves.
            self.worker.log.report("claiming stops", exc)
            connection.close()
            self.worker.claim_unknown = True
            self.due = clock.now() + timedelta(seconds=1)
            return False
        self.is_backlog = len(cycles) == free
        for cycle in cycles:
            self._start(cycle, claimed_at)
        return bool(cycles) or bool(self.running)

    def _free_slots(self) -> int:
        slots = 1 if interrupts.process.alone else settings.ORBIT_CONCURRENCY
        return slots - len(self.running)

    def _claim_cycles(self, limit: int) -> list[ClaimedCycle]:
        if interrupts.process.alone:
            return lease.claim_alone(cursor=self.worker.suspected)
        return lease.claim(limit, cursor=self.worker.cursor)

    def _give_back_unstarted(self) -> None:
        if self.worker.claim_unknown:
            running = [running.cycle for running in self.running.values()]
            # By the database's time: this may get lost too, and arrive after later claims.
            lease.give_back_unstarted(running, asked_at=clock.read())
            self.worker.claim_unknown = False

    def _may_claim_longer(self) -> bool:
        if not self.running or queue.tasks_wait(OTHERS_SECONDS):
            return False
        # This runner makes the wake-ups of what it claims superfluous: delete them.
        if time.monotonic() - self.collapsed > CLAIMING_SECONDS:
            self.collapsed = time.monotonic()
            queue.collapse()
        return True

    def _start(self, cycle: ClaimedCycle, claimed_at: float) -> None:
        self.number += 1
        number, slot = self.number, interrupts.process.open(cycle.namespace, read_at=claimed_at)
        slot.held_until = claimed_at + settings.ORBIT_LEASE_SECONDS
        slot.deadline = time.monotonic() + ACT_SECONDS
        self.running[number] = _RunningCycle(cycle, slot)

        def task() -> None:
            wait: float | None = None
            interrupts.enter(slot)
            try:
                with fence.sharing(self.worker.writer, cycle):
                    wait = advance.run(cycle, dispatch=self.worker.dispatch, worker=lease.owner())
            except Exception:
                logger.exception("slot of cycle %s", cycle.id)
            finally:
                interrupts.process.close(slot)
                self.done.put((number, wait))

        self.worker.start(task)

    def _wait(self) -> None:
        # At most a beat, because leases have to be renewed.
        finished: list[tuple[int, float | None]] = []
        try:
            finished.append(self.done.get(timeout=BEAT_SECONDS))
            until = time.monotonic() + (GATHER_SECONDS if self.is_backlog else 0.0)
            while len(finished) < len(self.running):
                finished.append(self.done.get(timeout=max(0.0, until - time.monotonic())))
        except queues.Empty:
            pass
        for number, wait in finished:
            self.running.pop(number, None)
            if wait is not None:
                self._is_due(clock.now() + timedelta(seconds=wait))

    def _renew(self) -> None:
        # A third of a lease leaves time for another try.
        if time.monotonic() - self.renewed < settings.ORBIT_LEASE_SECONDS / 3:
            return
        self.renewed = time.monotonic()
        for running in self.running.values():
            if running.held and running.slot.overrun:
                # Another worker takes the cycle. This process takes nothing new, and ends once its
                # other slots have finished.
                logger.error("the slot of cycle %s is hung: its lease runs out", running.cycle.id)
                running.held, self.hung, self.worker.hung = False, True, True
        held = [running for running in self.running.values() if running.held]
        if held and not self._attempt(lambda: self._extend(held)):
            # Again at the next beat: the leases may still hold when the database is back.
            self.renewed = float("-inf")
        if self.hung and not held:
            # Don't wait for hung slots: their threads end with the process.
            self.running.clear()

    def _extend(self, held: list[_RunningCycle]) -> None:
        # A term counts from before the statement: it must not seem longer than it is.
        renewed_at = interrupts.now()
        extended = lease.renew([running.cycle for running in held])
        for running in held:
            if running.cycle.id in extended:
                running.slot.held_until = renewed_at + settings.ORBIT_LEASE_SECONDS
            else:
                # Its own write locks it, or it is lost: again at the next beat.
                self.renewed = float("-inf")

    def _settle(self) -> bool:
        """End a drain; return whether to wait for slots."""
        # Slots get a second to stop by themselves.
        if interrupts.process.remaining() > -1.0:
            return True
        held = [running.cycle for running in self.running.values() if running.held]
        if held:
            self._attempt(lambda: lease.give_back(held, wait=0.0))
        self.running.clear()
        return False

    def _look_ahead(self) -> None:
        # The caller leaves a wake-up for this moment.
        moment = lease.next_due()
        if moment is not None:
            self._is_due(moment)

    def _is_due(self, moment: datetime) -> None:
        self.due = moment if self.due is None else min(self.due, moment)

    def _attempt(self, act: Callable[[], object]) -> bool:
        """Call ``act``; return False if the database is away."""
        try:
            act()
        except (DatabaseError, InterfaceError) as exc:
            # The next beat, the next runner or maintenance does it instead.
            self.worker.log.report("the database is away", exc)
            connection.close()
            return False
        return True
