"""Refuse to start on a database without this release's migrations."""

import logging
from collections.abc import Collection

from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from governance.kernel.errors import Kind, OrbitError
from orbit_site.processes import second_database
from telemetry import database as telemetry

log = logging.getLogger(__name__)


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
    """Raise Unmigrated if migrations are missing. Telemetry's own database may be away."""
    if missing := _missing(connection):
        raise Unmigrated(f"The database lacks {missing}. Run `manage.py migrate`.")
    if not telemetry.IS_SEPARATE:
        return
    try:
        second_database.refuse_main()
        missing = _missing(telemetry.connection(), "telemetry")
    except (OperationalError, InterfaceError) as error:
        # Nothing but telemetry waits for it.
        log.warning(
            "The database of ORBIT_TELEMETRY_DATABASE_URL is away; events wait in the outbox: %s",
            " ".join(str(error).split()),
        )
        return
    if missing:
        raise Unmigrated(
            f"The database of ORBIT_TELEMETRY_DATABASE_URL lacks {missing}. "
            "Run `manage.py migrate`."
        )


def _missing(on: BaseDatabaseWrapper, app: str | None = None) -> str:
    """Return how many migrations ``on`` lacks, with the first names; "" if none."""
    executor = MigrationExecutor(on)
    ensure_not_partly_replaced(executor.loader, executor.loader.applied_migrations)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(app))
    if not plan:
        return ""
    names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3]]
    more = ", ..." if len(plan) > len(names) else ""
    return f"{len(plan)} migrations ({', '.join(names)}{more})"
