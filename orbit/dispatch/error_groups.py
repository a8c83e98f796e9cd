"""Dead letters by what they have in common: endpoint, reason, status code, and the error without what differs from one to the next.

The database makes pattern and group of each letter when it is written (migration 0005), so the list is one bounded aggregate.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from governance.access.actors import Actor

#: The newest open letters that are counted; beyond that nobody counts.
COUNTED = 100_000
LARGEST = 200

GROUPS = """WITH newest AS MATERIALIZED (
    SELECT l.id, l.error_group, l.endpoint_key, l.reason, l.status_code, l.error_pattern, l.namespace, l.created_at FROM orbit_deadletterdispatch l
    WHERE l.status = 'open' AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[])) ORDER BY l.id DESC LIMIT %(counted)s)
SELECT error_group, endpoint_key, reason, status_code, error_pattern, count(*), count(DISTINCT namespace), min(created_at), max(created_at),
    (array_agg(id ORDER BY id DESC))[1] FROM newest
GROUP BY error_group, endpoint_key, reason, status_code, error_pattern ORDER BY count(*) DESC, error_group LIMIT %(limit)s OFFSET %(offset)s"""


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
    with connection.cursor() as cursor:
        cursor.execute(
            GROUPS,
            {"scope": scope, "counted": COUNTED, "limit": min(limit, LARGEST), "offset": offset},
        )
        return [Group(*row) for row in cursor.fetchall()]
