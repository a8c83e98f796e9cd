"""How full the outbox is, and whether telemetry's database takes its events.

It reads the main database only, so that no caller waits for a second one that is away.
"""

from dataclasses import dataclass
from datetime import datetime

from governance.kernel import sql

#: Later than that an operator should look.
LATE_SECONDS = 60.0
#: Counting stops here.
MOST = 1_000_000

BACKLOG = sql.load(__name__, "outbox_backlog")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the outbox. ``failing_since`` and ``problem``: the second database's."""

    count: int
    oldest_seconds: float
    forwarded: int
    refused: int
    failing_since: datetime | None
    problem: str | None

    @property
    def needs_a_look(self) -> bool:
        """Whether events wait for long, or have no way to go."""
        return self.problem is not None or self.oldest_seconds > LATE_SECONDS


def backlog(most: int = MOST) -> Backlog:
    """Return the backlog."""
    row = BACKLOG.one(most=most)
    assert row is not None  # noqa: S101 - one row, always
    return Backlog(*row)
