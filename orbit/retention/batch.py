"""What one batch of a prune came to, and what a dry run keeps in mind between batches."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from governance.kernel import identifiers


@dataclass(slots=True)
class Batch:
    """What a batch came to. ``after`` is where the next one begins, None at the end."""

    after: tuple[str, ...] | None
    deleted: Counter[str] = field(default_factory=Counter)
    #: How many were kept, by reason.
    kept: Counter[str] = field(default_factory=Counter)
    #: The earliest and the latest finish of what was deleted.
    first: datetime | None = None
    last: datetime | None = None


@dataclass(slots=True)
class Preview:
    """What the batches of a dry run would have deleted: each of them is rolled back."""

    #: Cycles by the month of their id.
    months: Counter[date] = field(default_factory=Counter)
    #: How often deleted rows used initiations and snapshots that others use too.
    uses: Counter[UUID] = field(default_factory=Counter)

    def note(self, cycles: Iterable[UUID], uses: dict[UUID, int]) -> None:
        """Add a batch: its cycles, and what they shared with others."""
        months = (month_of(cycle) for cycle in cycles)
        self.months.update(month for month in months if month is not None)
        self.uses.update(uses)


def month_of(id_: UUID) -> date | None:
    """Return the first day of the month in a UUIDv7, in UTC; None if it has no time."""
    made_at = identifiers.moment_of(id_)
    return None if made_at is None else made_at.date().replace(day=1)
