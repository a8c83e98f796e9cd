"""Where a process looks for due cycles next.

A claimed cycle leaves a dead entry in the index until a vacuum, which an old transaction holds off.
A claim that began at the oldest entry each time would read them all, and the cycles of halted
namespaces too.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

#: Begin at the oldest again after this time: a stop has ended, or a claim was rolled back.
FULL_LOOK_SECONDS = 1.0
# A transaction that is still open may bring a cycle that has been due since it began.
UNSETTLED_SECONDS = 2.0

Position = tuple[datetime, UUID]
_OLDEST: Position = (datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))


@dataclass(slots=True)
class Cursor:
    """The position of a process among due cycles, and among open namespaces."""

    since: Position = _OLDEST
    #: The last namespace whose cycles were looked at (its id).
    after: int = 0
    _full_at: float = float("-inf")

    def restart(self) -> None:
        """Have the next claim begin at the oldest due cycle."""
        self._full_at = float("-inf")

    def begin(self) -> None:
        """Call it before each claim."""
        now = time.monotonic()
        if now - self._full_at >= FULL_LOOK_SECONDS:
            self._full_at, self.since = now, _OLDEST

    def move(
        self,
        *,
        first: Position | None,
        edge: Position | None,
        settled: datetime,
        after: int | None,
    ) -> None:
        """Go on from what a claim saw.

        ``first``: the first claimed cycle. ``edge``: the last one that it looked at, if more are
        due. ``after``: the last namespace, if there are more.
        """
        # What is before the first claimed cycle is stopped, or another process is claiming it.
        settled_position = (settled, UUID(int=0))
        self.since = min(first or edge or settled_position, settled_position)
        self.after = after or 0


@dataclass(slots=True)
class SuspectedCursor:
    """Where a process looks next for suspected cycles that aren't stopped."""

    since: Position = _OLDEST

    def parameters(self) -> dict[str, object]:
        """Return the values for a statement."""
        return {"since": self.since[0], "since_id": self.since[1]}

    def move(self, *, is_found: bool, edge: Position | None) -> None:
        """Go on behind ``edge``; from the oldest if one was found, or no more are due."""
        self.since = _OLDEST if is_found or edge is None else edge
