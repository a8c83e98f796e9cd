"""What a run reports: a decision for each kind of drift, and three metrics."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from governance.kernel import clock
from governance.models import OperationRun
from telemetry.consumers import projection
from telemetry.events import Level, Name, Row
from telemetry.ingest import batch
from telemetry.reconcile.compare import Drift, Kind

DRIFT_COUNT, SYNC_LATENCY = "projection_drift_count", "projection_sync_latency_ms"
LAST_RECONCILE = "last_reconcile_ts"
_DAY = timedelta(days=1)
# Its names make the events' ids, so that a slice that is done again adds none.
_IDS = UUID("6a3f3df0-5f3e-4d0c-9a53-0a4c6ff0b1d5")


def report(
    run: OperationRun, drift: dict[Kind, Drift], *, authority: str | None
) -> dict[str, float]:
    """Store the events; return the metrics."""
    latency = projection.sync_latency_ms(since=run.created_at - _DAY)
    metrics = {
        DRIFT_COUNT: float(sum(kind.count for kind in drift.values())),
        # No event changed a task in this time: nothing was late.
        SYNC_LATENCY: latency or 0.0,
        LAST_RECONCILE: clock.timestamp(),
    }
    rows = [
        _event(
            run,
            Name.DECISION,
            kind,
            {
                "decision": "projection_drift",
                "kind": str(kind),
                "count": item.count,
                "ids": item.ids,
                "authority": authority,
                "rationale": _rationale(kind, item, authority),
            },
            level=Level.WARNING if item.count else Level.INFO,
        )
        for kind, item in drift.items()
    ]
    rows += [
        _event(run, Name.METRIC, name, {"name": name, "value": value})
        for name, value in metrics.items()
    ]
    batch.store(rows)
    return metrics


def _rationale(kind: Kind, item: Drift, authority: str | None) -> str:
    if authority is None:
        return "no authority of tasks is registered: there is nothing to compare with"
    if not item.count:
        return "no difference"
    return {
        Kind.MISSING_IN_PROJECTION: "inserted, as the authority tells them",
        Kind.MISSING_IN_TASKS: "marked orphaned: the authority doesn't know them",
        Kind.STATUS_MISMATCH: "corrected: the authority's status counts",
    }[kind]


def _event(
    run: OperationRun, name: Name, what: str, metadata: dict[str, Any], *, level: str = Level.INFO
) -> Row:
    return batch.event(
        name,
        id=uuid5(_IDS, f"{run.pk} {what}"),
        occurred_at=run.created_at,
        stage="reconcile",
        level=level,
        metadata={**metadata, "operation_run_id": str(run.pk)},
    )
