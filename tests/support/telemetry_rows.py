"""Rows of telemetry, one of each table."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections, transaction

from governance.kernel.identifiers import uuid7
from telemetry import database
from telemetry.ingest import batch
from telemetry.models import (
    Artifact,
    ErrorGroup,
    Metric,
    PolicyViolation,
    TaskProjection,
    TelemetryArchive,
    TelemetryEvent,
)


def create_one_of_each(namespace: str | None = "a", name: str = "one") -> TelemetryEvent:
    """Create rows whose texts begin with ``name``; return the event."""
    row = batch.event(
        "task_start",
        namespace=namespace,
        session_id=f"{name}-session",
        task_id=f"{name}-task",
        metadata={"title": f"{name} <script>alert(9)</script>"},
    )
    batch.store([row])
    at = row[1]
    origin: dict[str, Any] = {
        "event_id": row[0],
        "occurred_at": at,
        "namespace": namespace,
        "session_id": f"{name}-session",
        "task_id": f"{name}-task",
    }
    Artifact.objects.create(**origin, path_name=f"{name}.txt", size=3, sha256="0" * 64)
    Metric.objects.create(**origin, name=f"{name}_value", value=1.5, labels={"a": "b"})
    PolicyViolation.objects.create(
        **origin, file=f"{name}.py", policy="style", rule="E501", severity="low"
    )
    create_error_group(namespace, f"{name} broke", at)
    create_task(f"{name}-task", namespace, at)
    TelemetryArchive.objects.create(
        day=(at - timedelta(days=200)).date(),
        namespace=namespace,
        event_count=1,
        sha256="0" * 64,
        size=9,
        created_at=at,
    )
    return TelemetryEvent.objects.get(id=row[0], occurred_at=at)


def create_error_group(
    namespace: str | None, message: str, at: datetime, stage: str | None = "build"
) -> None:
    ErrorGroup.objects.create(
        day=at.astimezone(UTC).date(),
        namespace=namespace,
        stage=stage,
        message=message,
        message_sha256=f"{abs(hash(message)):064x}"[:64],
        count=2,
        first_seen=at,
        last_seen=at,
        sample={"message": message},
    )


def create_task(task_id: str, namespace: str | None, at: datetime, status: str = "running") -> None:
    with transaction.atomic(using=database.ALIAS):
        with connections[database.ALIAS].cursor() as cursor:
            cursor.execute("SET LOCAL orbit.projection_updater = 'on'")
        TaskProjection.objects.update_or_create(
            task_id=task_id,
            defaults={
                "namespace": namespace,
                "title": "<script>alert(8)</script>",
                "status": status,
                "last_status_ts": at,
                "last_event_ts": at,
                "updated_utc": at,
            },
        )
        # Else the rest of a test's transaction may write too.
        with connections[database.ALIAS].cursor() as cursor:
            cursor.execute("SET LOCAL orbit.projection_updater = 'off'")


def create_events(count: int, first: datetime, **columns: Any) -> list[Any]:
    """Store events a second apart, the first at ``first``; return their ids."""
    rows = [
        batch.event(
            "decision", occurred_at=first + timedelta(seconds=number), id=uuid7(), **columns
        )
        for number in range(count)
    ]
    batch.store(rows)
    return [row[0] for row in rows]
