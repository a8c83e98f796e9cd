"""Dead letters by what they have in common: endpoint, reason, status code, and the error without what differs from one to the next.

The database makes pattern and group of each letter when it is written (migration 0005), so the list is one bounded aggregate.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from governance.access.actors import Actor
from governance.kernel import sql

#: The newest open letters that are counted; beyond that nobody counts.
COUNTED = 100_000
LARGEST = 200

GROUP = sql.load(__name__, "group_errors")


@dataclass(frozen=True, slots=True)
class Group:
    """Open letters of one cause: how many, in how many namespaces, made from when to when, and the newest of them."""

    group: str
    endpoint_key: str
    reason: str
    status_code: int | None
    error: str
    count: int
    namespaces: int
    first_at: datetime
    last_at: datetime
    example_id: UUID


def listed(actor: Actor, *, limit: int = 50, offset: int = 0) -> list[Group]:
    """Return the groups of the letters that ``actor`` sees, largest first. One query over at most ``COUNTED`` letters."""
    scope = None if actor.namespaces is None else sorted(actor.namespaces)
    rows = GROUP.rows(scope=scope, counted=COUNTED, limit=min(limit, LARGEST), offset=offset)
    return [Group(*row) for row in rows]
