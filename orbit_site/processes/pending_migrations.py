"""No process of Orbit starts over a database that isn't at its release."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from governance.kernel.errors import Kind, OrbitError


class Unmigrated(OrbitError):
    """The database isn't at this release."""

    code, kind = "unmigrated", Kind.UNAVAILABLE


def refuse() -> None:
    """Raise Unmigrated when a migration of this release isn't in the database, naming the first ones."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3])
        raise Unmigrated(
            f"{len(plan)} migrations are missing in the database ({names}{', ...' if len(plan) > 3 else ''}). Run `manage.py migrate`."
        )
