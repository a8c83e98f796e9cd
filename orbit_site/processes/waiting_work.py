"""What waits for maintenance: one statement a second instead of those of each task."""

from enum import StrEnum

from django.db import DatabaseError

from governance.kernel import availability, sql
from governance.namespaces import gate
from orbit import queue
from orbit.conductor import aggregate, fanout
from orbit.cycles import maintenance
from orbit.records.fence import ALONE_FROM

#: After so long the tasks run whatever a look says: no known case needs it.
CERTAIN_SECONDS = 60.0

LOOK = sql.load(
    __name__,
    "waiting_work",
    alone_from=ALONE_FROM,
    is_read_only=availability.IS_READ_ONLY,
    waiting_namespaces=fanout.WAITING_NAMESPACES,
    gate_lets_start=gate.STARTS,
    aggregate_waits=aggregate.WAITS,
)


class Waiting(StrEnum):
    """Kinds of work, in the order of the statement's columns after the first."""

    SCHEDULES = "schedules"
    TICKS = "ticks"
    STOPS = "stops"
    QUEUED_CYCLES = "queued cycles"
    DUE_CYCLES = "due cycles"
    SUSPECTED_CYCLES = "suspected cycles"
    OPERATIONS = "operations"
    CONDUCTOR = "conductor"
    OUTBOX = "outbox"
    ALERTS = "alerts"


class WaitingWork:
    """The look of one pass over the tasks, made when the first of them asks."""

    def __init__(self) -> None:
        self._now, self._certain_at = 0.0, float("-inf")
        self._kinds: frozenset[Waiting] | None = None

    def begin(self, now: float) -> None:
        """Begin a pass at ``now`` (monotonic)."""
        self._now, self._kinds = now, None

    def doubt(self) -> None:
        """Have the next pass run all tasks."""
        self._certain_at = float("-inf")

    def has(self, kind: Waiting) -> bool:
        """Tell whether there may be work of ``kind``. Raises ReadOnlyServer."""
        if self._kinds is None:
            self._kinds = self._look()
        return kind in self._kinds

    def _look(self) -> frozenset[Waiting]:
        if self._now >= self._certain_at:
            self._certain_at = self._now + CERTAIN_SECONDS
            return frozenset(Waiting)
        try:
            ((is_read_only, *row),) = LOOK.send(tick=queue.TICK, late=maintenance.FORGOTTEN_AFTER)
        except DatabaseError as error:
            if availability.is_lost(error):
                raise
            # A table is locked, for example: that concerns its own tasks, and no others.
            return frozenset(Waiting)
        availability.require_writes(is_read_only)
        return frozenset(kind for kind, waits in zip(Waiting, row, strict=True) if waits)
