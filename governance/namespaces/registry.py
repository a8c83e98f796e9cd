"""Births of namespaces."""

import uuid
from collections.abc import Iterable

from django.db import connection

ENSURE = """WITH made AS (
    INSERT INTO governance_namespace (name, external_id) SELECT * FROM unnest(%s::text[], %s::uuid[]) ON CONFLICT (name) DO NOTHING RETURNING id, name),
settings AS (INSERT INTO governance_governancesetting (namespace_id) SELECT id FROM made)
SELECT name FROM made ORDER BY name"""


def ensure(names: Iterable[str]) -> list[str]:
    """Make the namespaces of ``names`` that don't exist, each with a UUID v4 and its setting; return those that were made."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    with connection.cursor() as cursor:
        cursor.execute(ENSURE, [wanted, [uuid.uuid4() for _ in wanted]])
        return [row[0] for row in cursor.fetchall()]
