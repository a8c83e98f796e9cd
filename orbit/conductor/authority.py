"""The conductor's word about its tasks, by which telemetry reconciles the projection."""

from django.conf import settings

from telemetry.reconcile import authority
from telemetry.reconcile.authority import Authority

QUERY = """
SELECT id, state, state_changed_at, name, priority::bigint, '[]'::jsonb, namespace
FROM orbit_conductortask
"""


def register() -> None:
    """Make the conductor the authority of tasks."""
    # Runs that ended longer ago are pruned with their tasks.
    authority.register(
        Authority("conductor", QUERY, forgets_after_days=settings.ORBIT_RETENTION_DAYS)
    )
