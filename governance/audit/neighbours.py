"""An entry of the audit trail between its neighbours."""

from dataclasses import dataclass

from governance.audit import chain
from governance.audit.verify import BEGINNING
from governance.models import AuditTrailEntry


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The hashes beside an entry, and whether all three fit together."""

    before: str | None
    after: str | None
    unchanged: bool
    follows: bool
    followed: bool

    @property
    def fit(self) -> bool:
        """Whether these entries fit together. Only a walk checks the others."""
        return self.unchanged and self.follows and self.followed


def of(entry: AuditTrailEntry) -> Neighbours:
    """Return the neighbours of ``entry``."""
    rows = AuditTrailEntry.objects.only("id", "hash", "previous_hash")
    adjacent = rows.in_bulk([entry.pk - 1, entry.pk + 1])
    before, after = adjacent.get(entry.pk - 1), adjacent.get(entry.pk + 1)
    expected = before.hash if before is not None else BEGINNING if entry.pk == 1 else None
    return Neighbours(
        before=None if before is None else before.hash,
        after=None if after is None else after.hash,
        unchanged=_recomputed_hash(entry) == entry.hash,
        follows=entry.previous_hash == expected,
        followed=after is None or after.previous_hash == entry.hash,
    )


def _recomputed_hash(entry: AuditTrailEntry) -> str | None:
    try:
        return chain.entry_hash(
            chain.draft_of(entry), number=entry.pk, at=entry.at, previous=entry.previous_hash
        )
    except ValueError:  # a number that we would have written as text
        return None
