"""Refuse to start on a database without this release's migrations."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from governance.kernel.errors import Kind, OrbitError


class Unmigrated(OrbitError):
    """The database lacks migrations of this release."""

    code, kind = "unmigrated", Kind.UNAVAILABLE


def refuse() -> None:
    """Raise Unmigrated if migrations are missing."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3]]
        more = ", ..." if len(plan) > len(names) else ""
        raise Unmigrated(
            f"The database lacks {len(plan)} migrations ({', '.join(names)}{more}). "
            "Run `manage.py migrate`."
        )
