"""Many cycles at once: the first of each namespace starts, the others wait behind it.

If a cycle was active there before, it may be resumed; all others are skipped.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from django.db import OperationalError, connection, transaction

from orbit import queue
from orbit.cycles import creation, skip_log
from orbit.cycles.creation import ActiveCycle, NewCycle
from orbit.cycles.skip_log import Skip
from orbit.states import Cycle, Trigger

# A wake-up lets a runner fill all its slots, and maintenance adds what is missing.
_MOST_WAKEUPS = 4
# If a cycle that blocks a namespace ends meanwhile, all of that namespace is tried once more.
_TRIES = 2
_LIMIT_WAITS = "SET LOCAL lock_timeout = '50ms'"
_END_LIMIT = "SET LOCAL lock_timeout TO DEFAULT"


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a cycle: "started", "queued" or "skipped"; ``detail`` says why."""

    outcome: str
    #: Started, queued or resumed.
    cycle_id: UUID | None = None
    detail: str = ""

    def resumes(self, cycle: NewCycle) -> bool:
        """Return whether an abandoned cycle goes on instead of ``cycle``.

        It may have ended by the call's next try, which would then start another: keep it.
        """
        return self.cycle_id not in {None, cycle.id}

    def kept(self, namespace: str) -> list[str]:
        """Return what the next try of a call needs to know of it: cycle, namespace, detail."""
        return [str(self.cycle_id), namespace, self.detail]


class Placing:
    """The cycles of one transaction."""

    def __init__(self, *, call: UUID | None = None, taken: Collection[str] = ()) -> None:
        """Begin, for a call that may be repeated.

        ``taken`` are the namespaces where it has created cycles before: others wait behind them.
        """
        self._call = call
        self._before = set(taken)
        #: Namespaces where this transaction created a cycle.
        self.taken: set[str] = set()
        #: Namespaces where another cycle was active.
        self.busy: dict[str, ActiveCycle] = {}
        self._placed: dict[UUID, Placed] = {}
        self._skips: list[Skip] = []
        self._wakeups = 0

    def place(self, cycles: Sequence[NewCycle]) -> dict[UUID, Placed]:
        """Insert ``cycles`` in their order; return what became of each, by its id."""
        left = list(cycles)
        for _ in range(_TRIES):
            if left:
                self._start(left)
                left = self._undecided(left)
        for cycle in left:
            detail = f"A cycle in {cycle.context.namespace} is about to end."
            self._placed[cycle.id] = Placed("skipped", detail=detail)
        return self._placed

    def skip(self, active: ActiveCycle, run_profile_id: str | None) -> Placed:
        """Note that a trigger met ``active``; return its outcome."""
        self._skips.append(Skip(active.namespace, str(active.id), run_profile_id))
        return Placed("skipped", detail=creation.refusal(active.namespace, active).detail)

    def finish(self, source: Trigger) -> None:
        """Record what was skipped and wake runners; the last of the transaction but its audit."""
        if self._skips:
            skip_log.record_skips(self._skips, trigger=source)
        for _ in range(min(self._wakeups, _MOST_WAKEUPS)):
            queue.wake()

    def _start(self, cycles: Sequence[NewCycle]) -> None:
        first: dict[str, NewCycle] = {}
        for cycle in cycles:
            first.setdefault(cycle.context.namespace, cycle)
        # What this transaction holds may come later in the order of namespaces than what it tries
        # once more: to wait for that could be a deadlock.
        insert = _insert_at_once if self.taken else creation.insert
        started = insert(list(first.values()), Cycle.PENDING)
        for cycle in first.values():
            if cycle.id in started:
                self._wakeups += 1
                self.taken.add(cycle.context.namespace)
                self._placed[cycle.id] = Placed("started", cycle.id)
        self._queue(self._undecided(cycles), self.taken | self._before)
        self._resume_or_skip(self._undecided(cycles))

    def _queue(self, cycles: Sequence[NewCycle], namespaces: set[str]) -> None:
        behind = [cycle for cycle in cycles if cycle.context.namespace in namespaces]
        if behind:
            creation.insert(behind, Cycle.QUEUED)
        for cycle in behind:
            detail = f"It waits for its turn in {cycle.context.namespace}."
            self._placed[cycle.id] = Placed("queued", cycle.id, detail)

    def _resume_or_skip(self, blocked: Sequence[NewCycle]) -> None:
        if not blocked:
            return
        active_cycles = creation.active_cycles({cycle.context.namespace for cycle in blocked})
        for cycle in blocked:
            active = active_cycles.get(cycle.context.namespace)
            if active is None:
                continue  # it has just ended: try once more
            if self._call is not None and active.call == self._call:
                # The same call is made beside us.
                self.taken.add(active.namespace)
                self._queue([cycle], self.taken)
                continue
            self.busy[active.namespace] = active
            if active.is_resumed_by(cycle.context.run_profile_id, cycle.payload):
                self._wakeups += 1
                self._placed[cycle.id] = Placed("started", active.id, "resumed")
            else:
                self._placed[cycle.id] = self.skip(active, cycle.context.run_profile_id)

    def _undecided(self, cycles: Sequence[NewCycle]) -> list[NewCycle]:
        return [cycle for cycle in cycles if cycle.id not in self._placed]


def _insert_at_once(cycles: Sequence[NewCycle], status: Cycle) -> set[UUID]:
    """Insert cycles, or none of them if another transaction is about to start one there."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_LIMIT_WAITS)
            inserted = creation.insert(cycles, status)
            cursor.execute(_END_LIMIT)
            return inserted
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        return set()
