"""Events of scripts, stored as ingest stores them, and what consumers read from them."""

import uuid
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from telemetry import database
from telemetry.events import Row
from telemetry.ingest import batch
from telemetry.models import TaskProjection

#: Noon, three days ago: the partitions of its neighbours exist or are made.
NOON = datetime.combine(timezone.now().date() - timedelta(days=3), time(12), tzinfo=UTC)

#: What consumers write, without their own keys and times.
TABLES = {
    "telemetry_artifact": "id",
    "telemetry_metric": "id",
    "telemetry_policyviolation": "id",
    "telemetry_errorgroup": "id",
    "telemetry_taskprojection": "updated_utc",
}


def at(seconds: float) -> datetime:
    """Return a time ``seconds`` after ``NOON``."""
    return NOON + timedelta(seconds=seconds)


def event(name: str, seconds: float, number: int = 0, **columns: Any) -> Row:
    """Return an event; ``number`` makes its id, or a new one if it is 0."""
    id = uuid.UUID(int=number) if number else uuid.uuid4()
    return batch.event(name, occurred_at=at(seconds), id=id, **columns)


def task_event(name: str, seconds: float, number: int = 0, **columns: Any) -> Row:
    """Return an event of the task ``t``."""
    return event(name, seconds, number, **{"task_id": "t", "session_id": "s", **columns})


def store(*events: Row) -> None:
    """Store events as one batch."""
    batch.store(events)


def task(task_id: str = "t") -> TaskProjection:
    """Return the row of a task."""
    return TaskProjection.objects.using(database.ALIAS).get(pk=task_id)


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement in the database of telemetry."""
    with database.connection().cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def snapshot() -> dict[str, list[Any]]:
    """Return what consumers wrote, in an order of its own."""
    return {
        table: sorted(
            row for (row,) in rows(f"SELECT (to_jsonb(t) - '{own}')::text FROM {table} t")
        )
        for table, own in TABLES.items()
    }
