"""Orbit's own door to the event log: rows that join the transaction of what they tell."""

from dataclasses import dataclass, field
from typing import Any

from governance.kernel.identifiers import uuid7_text


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a cycle; ``name`` as in the vocabulary of ``telemetry.events``."""

    name: str
    stage: str | None = None
    level: str = "info"
    duration_ms: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


#: A CTE for a statement that has a CTE ``locked`` with the ids of the cycles whose rows may be written; ``events`` is its JSON.
EVENTS_CTE = """events AS (
    INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, profile_id, run_id, stage, level, duration_ms, metadata)
    SELECT x.id, clock_timestamp(), x.name, x.namespace, x.profile_id, x.run_id, x.stage, x.level, x.duration_ms, x.metadata
    FROM json_to_recordset(%(events)s::json) AS x(id uuid, name text, namespace text, profile_id text, run_id uuid, stage text, level text,
        duration_ms float8, metadata jsonb)
    JOIN locked ON locked.id = x.run_id)"""


def row(event: Event, *, run_id: str, namespace: str, profile_id: str | None) -> dict[str, Any]:
    """Return ``event`` as a row for ``EVENTS_CTE``."""
    return {
        "id": uuid7_text(),
        "name": event.name,
        "namespace": namespace,
        "profile_id": profile_id,
        "run_id": run_id,
        "stage": event.stage,
        "level": event.level,
        "duration_ms": event.duration_ms,
        "metadata": event.metadata,
    }
