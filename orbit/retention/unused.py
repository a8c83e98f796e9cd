"""Initiations and endpoint snapshots go with the last row that used them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction

from governance.kernel import sql
from governance.kernel.identifiers import uuid7_floor
from orbit.dispatch import endpoints, enqueue
from orbit.retention.batch import Batch, Preview

LIMIT = 1000
_ZERO = "00000000-0000-0000-0000-000000000000"
START = (_ZERO, _ZERO)

LOCK_UNUSED = sql.load(__name__, "lock_unused")
PRUNE_UNUSED = sql.load(__name__, "prune_unused")
NEXT_OLD_UNUSED = sql.load(__name__, "next_old_unused")


@dataclass(frozen=True, slots=True)
class Gone:
    """What was deleted."""

    initiations: Sequence[UUID] = ()
    snapshots: Sequence[UUID] = ()
    ids: frozenset[UUID] = field(default_factory=frozenset)

    @property
    def counts(self) -> Counter[str]:
        """How many of each table."""
        return +Counter(initiations=len(self.initiations), endpoint_snapshots=len(self.snapshots))


def delete(
    *, hashes: Sequence[str] = (), initiations: Sequence[UUID], snapshots: Sequence[UUID]
) -> Gone:
    """Delete those that nothing uses. What another transaction holds is left to ``prune_left``."""
    locked = LOCK_UNUSED.one(
        hashes=list(hashes), initiations=list(initiations), snapshots=list(snapshots)
    ) or ([], [])
    row = PRUNE_UNUSED.one(initiations=locked[0], snapshots=locked[1], configured=_configured())
    first, second = row or ([], [])
    return Gone(first, second, frozenset([*first, *second]))


def prune_left(until: str, after: tuple[str, ...], preview: Preview | None = None) -> Batch:
    """Delete what was made before ``until`` and is left without a use.

    A prune of cycles leaves what another transaction held at that moment.
    """
    uses = preview.uses if preview else Counter[UUID]()
    row = NEXT_OLD_UNUSED.one(
        before=uuid7_floor(datetime.fromisoformat(until)),
        initiation=after[0],
        snapshot=after[1],
        limit=LIMIT,
        configured=_configured(),
        counted=[*uses],
        uses=[*uses.values()],
    )
    seen_initiations, seen_snapshots, initiations, snapshots = row or (None, None, [], [])
    following = (
        str(seen_initiations[-1]) if seen_initiations else after[0],
        str(seen_snapshots[-1]) if seen_snapshots else after[1],
    )
    batch = Batch(None if following == after else following)
    if preview:
        batch.deleted = Gone(initiations, snapshots).counts
    elif initiations or snapshots:
        with transaction.atomic():
            batch.deleted = delete(initiations=initiations, snapshots=snapshots).counts
    return batch


def _configured() -> list[str]:
    return [enqueue.fingerprint_of(endpoint) for endpoint in endpoints.configured().values()]
