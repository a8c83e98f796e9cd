"""Refuse to start on a database without this release's migrations."""

from collections.abc import Collection

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from governance.kernel.errors import Kind, OrbitError


class Unmigrated(OrbitError):
    """The database lacks migrations of this release."""

    code, kind = "unmigrated", Kind.UNAVAILABLE


class PartlyReplaced(OrbitError):
    """The database has some of the migrations that a later one replaced, but not all."""

    code, kind = "partly_replaced", Kind.UNAVAILABLE


def ensure_not_partly_replaced(
    loader: MigrationLoader, applied: Collection[tuple[str, str]]
) -> None:
    """Raise PartlyReplaced if ``applied`` ends between the replaced migrations.

    Django would apply nothing then, and say nothing.
    """
    for migration in loader.replacements.values():
        missing = [key for key in migration.replaces if key not in applied]
        if missing and len(missing) < len(migration.replaces):
            names = ", ".join(".".join(key) for key in missing[:3])
            raise PartlyReplaced(
                f"The database lacks migrations that are no longer part of Orbit ({names}). "
                "Migrate it with the checkout that it comes from, brought to commit 624ab9c; "
                "then with this one."
            )


def refuse() -> None:
    """Raise Unmigrated if migrations are missing."""
    executor = MigrationExecutor(connection)
    ensure_not_partly_replaced(executor.loader, executor.loader.applied_migrations)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3]]
        more = ", ..." if len(plan) > len(names) else ""
        raise Unmigrated(
            f"The database lacks {len(plan)} migrations ({', '.join(names)}{more}). "
            "Run `manage.py migrate`."
        )
