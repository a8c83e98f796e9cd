"""An entry's place in the chain: its neighbours, and whether it fits between them."""

from dataclasses import dataclass

from governance.audit import chain
from governance.audit.verify import BEGINNING
from governance.models import AuditTrailEntry


@dataclass(frozen=True, slots=True)
class Place:
    """The hashes around an entry; None where it has no neighbour. A neighbour's hash tells nothing about what stands in it."""

    before: str | None
    after: str | None
    unchanged: bool
    follows: bool
    followed: bool

    @property
    def fits(self) -> bool:
        """Whether nothing is wrong with the entry and its links; what is wrong elsewhere, a walk finds."""
        return self.unchanged and self.follows and self.followed


def of(entry: AuditTrailEntry) -> Place:
    """Return the place of ``entry``; one query."""
    neighbours = {
        row.pk: row
        for row in AuditTrailEntry.objects.filter(id__in=[entry.pk - 1, entry.pk + 1]).only(
            "id", "hash", "previous_hash"
        )
    }
    before, after = neighbours.get(entry.pk - 1), neighbours.get(entry.pk + 1)
    try:
        said = chain.entry_hash(
            chain.draft_of(entry), number=entry.pk, at=entry.at, previous=entry.previous_hash
        )
    except ValueError:  # a number that we would have written as text
        said = ""
    expected = before.hash if before is not None else BEGINNING if entry.pk == 1 else None
    return Place(
        before=None if before is None else before.hash,
        after=None if after is None else after.hash,
        unchanged=said == entry.hash,
        follows=entry.previous_hash == expected,
        followed=after is None or after.previous_hash == entry.hash,
    )
