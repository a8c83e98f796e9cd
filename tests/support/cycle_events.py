"""Ended cycles and deliveries, as telemetry tells them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from governance.kernel import clock
from governance.kernel.identifiers import uuid7
from telemetry.events import Name, Row
from telemetry.ingest import batch


def finished(
    status: str | None = "success",
    *,
    profile_id: str | None = "daily",
    namespace: str | None = "eu",
    duration_ms: float | None = 100.0,
    days_ago: float = 1.0,
    **columns: Any,
) -> Row:
    """Return the event of a cycle that ended ``days_ago``."""
    return batch.event(
        Name.EXECUTION_FINISHED,
        profile_id=profile_id,
        namespace=namespace,
        duration_ms=duration_ms,
        occurred_at=columns.pop("occurred_at", None) or ago(days_ago),
        run_id=uuid7(),
        metadata={} if status is None else {"status": status},
        **columns,
    )


def cycles(succeeded: int, failed: int = 0, **members: Any) -> list[Row]:
    """Return the events of cycles that differ in nothing but their status."""
    return [finished("success", **members) for _ in range(succeeded)] + [
        finished("failed", **members) for _ in range(failed)
    ]


def delivered(
    outcome: str = "confirmed",
    *,
    endpoint_key: str = "receiver",
    attempt: int = 1,
    profile_id: str = "daily",
    namespace: str = "eu",
    days_ago: float = 1.0,
) -> Row:
    """Return the event of a delivery: ``confirmed``, or the outcome of a failed attempt."""
    confirmed = outcome == "confirmed"
    about: dict[str, Any] = {"endpoint_key": endpoint_key, "attempt": attempt}
    return batch.event(
        Name.DELIVERY_CONFIRMED if confirmed else Name.DELIVERY_ATTEMPT,
        profile_id=profile_id,
        namespace=namespace,
        duration_ms=5.0,
        occurred_at=ago(days_ago),
        run_id=uuid7(),
        metadata=about if confirmed else {**about, "outcome": outcome},
    )


def store(*rows: Row | Iterable[Row]) -> None:
    """Store events, and lists of them."""
    flat: list[Row] = []
    for item in rows:
        if isinstance(item, tuple):
            flat.append(item)  # type: ignore[arg-type] # a row is a tuple, a list of them isn't
        else:
            flat += item
    batch.store(flat)


def ago(days: float) -> datetime:
    """Return the database's time some days ago."""
    return clock.now() - timedelta(days=days)
