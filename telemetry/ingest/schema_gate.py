"""The schema gate: nothing is ingested before the tables are there."""

import logging

from django.db import ProgrammingError
from psycopg.errors import UndefinedColumn, UndefinedFunction, UndefinedTable

from governance.kernel.errors import Kind, OrbitError
from telemetry import database
from telemetry.models import (
    Artifact,
    ErrorGroup,
    Metric,
    PolicyViolation,
    TaskProjection,
    TelemetryDay,
    TelemetryEvent,
)

log = logging.getLogger(__name__)

EXISTING = database.load(__name__, "existing_tables")
_MODELS = (
    TelemetryEvent,
    TelemetryDay,
    Artifact,
    Metric,
    ErrorGroup,
    PolicyViolation,
    TaskProjection,
)
TABLES = tuple(model._meta.db_table for model in _MODELS)


class SchemaMissing(OrbitError):
    """Tables of telemetry are missing. Run manage.py migrate, then send again."""

    code, kind = "schema_missing", Kind.UNAVAILABLE


def check() -> None:
    """Raise SchemaMissing, once and with the names, if a table of ingest isn't there."""
    existing = {name for (name,) in EXISTING.rows(tables=list(TABLES))}
    if missing := [table for table in TABLES if table not in existing]:
        raise refusal(f"These tables are missing: {', '.join(missing)}.")


def is_missing(error: ProgrammingError) -> bool:
    """Tell whether the database refused a statement because of its schema."""
    return isinstance(error.__cause__, UndefinedTable | UndefinedColumn | UndefinedFunction)


def refusal(what: str) -> SchemaMissing:
    """Return the refusal, and put the decision on the log."""
    name = "telemetry" if database.IS_SEPARATE else "default"
    rationale = (
        f"Nothing was ingested: the database of telemetry isn't migrated. {what} "
        f"Run manage.py migrate --database {name}, then send again."
    )
    log.error("decision: %s", rationale, extra={"event": "decision", "decision": "schema_missing"})
    return SchemaMissing(rationale)
