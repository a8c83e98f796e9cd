"""Make a cycle's delivery jobs: one for each item and target endpoint.

Each job has a sealed snapshot of its endpoint: later changes of the configuration don't affect it.
All its attempts have one delivery id, and a requeue copies it.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Endpoint
from orbit.outbound import secrets
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record

STAGE = "dispatch"

#: A CTE of fenced statements; ``add_to`` makes the rows of its parameter ``jobs``.
INSERT_JOBS = sql.fragment(__name__, "insert_jobs")

FIND_SNAPSHOT = sql.load(__name__, "find_snapshot")
SAVE_SNAPSHOT = sql.load(__name__, "save_snapshot")


def add_to(
    write: fence.FencedWrite, items: Sequence[UUID], *, snapshot_id: Callable[[Endpoint], UUID]
) -> list[UUID]:
    """Add the jobs of ``items`` to a write with ``INSERT_JOBS``; return their ids."""
    cycle = write.cycle
    configured = endpoints.configured()
    keys = cycle.context.get("distribution_targets") or [endpoints.DEFAULT_KEY]
    write.records.append(Record(STAGE, "stage_started"))
    # A missing target doesn't stop the others.
    _record_missing(write, [key for key in keys if key not in configured])
    write.rows["jobs"] = []
    retries = max_retries(cycle.context)
    jobs = [
        _add_job(write, item, configured[key], snapshot_id(configured[key]), retries)
        for item in items
        for key in keys
        if key in configured
    ]
    write.checkpoints.append(Checkpoint.DISPATCH_ENQUEUED)
    return jobs


def max_retries(context: Mapping[str, Any]) -> int:
    """Return how often a cycle's deliveries are retried."""
    policy: Mapping[str, int] = context.get("execution_policy", {})
    return int(policy.get("max_dispatch_retries", settings.ORBIT_MAX_DISPATCH_RETRIES))


def snapshot_id(endpoint: Endpoint) -> UUID:
    """Return the id of the endpoint's snapshot, saved if there is none."""
    # Read first. Saving locks the endpoint's row, which workers lock after cycles. It also writes
    # the caps, which a replaced worker of an older configuration must not bring back.
    document = endpoints.snapshot_document(endpoint)
    fingerprint = secrets.fingerprint(document, settings.ORBIT_ENCRYPTION_KEYS)
    row = FIND_SNAPSHOT.one(fingerprint=fingerprint)
    return save_snapshot(endpoint) if row is None else UUID(str(row[0]))


def save_snapshot(endpoint: Endpoint) -> UUID:
    """Save the snapshot of ``endpoint`` and its caps; return its id."""
    document = endpoints.snapshot_document(endpoint)
    row = SAVE_SNAPSHOT.one(
        id=uuid7(),
        state=uuid7(),
        key=endpoint.key,
        host=endpoint.host,
        fingerprint=secrets.fingerprint(document, settings.ORBIT_ENCRYPTION_KEYS),
        sealed=secrets.seal(document, settings.ORBIT_ENCRYPTION_KEYS),
        max_concurrency=endpoint.max_concurrency,
        rate_per_second=endpoint.rate_per_second,
    )
    assert row is not None  # noqa: S101 - the statement inserts or updates
    return UUID(str(row[0]))


def save_configured() -> None:
    """Save the configured endpoints, before a process sends anything."""
    for endpoint in endpoints.configured().values():
        save_snapshot(endpoint)


def _record_missing(write: fence.FencedWrite, missing: Sequence[str]) -> None:
    if not endpoints.configured():
        message = "ORBIT_DISPATCH_ENDPOINTS is empty: nothing can be delivered"
        write.records.append(Record(STAGE, "no_endpoint", message, "warning"))
    elif missing:
        message = f"not configured: {', '.join(missing)}"
        data = {"endpoint_keys": list(missing)}
        write.records.append(Record(STAGE, "endpoint_unknown", message, "error", data))


def _add_job(
    write: fence.FencedWrite, item: UUID, endpoint: Endpoint, snapshot: UUID, max_retries: int
) -> UUID:
    job_id, delivery_id = uuid7(), uuid.uuid4()
    about = {
        "item_id": str(item),
        "endpoint_key": endpoint.key,
        "delivery_id": str(delivery_id),
    }
    write.rows["jobs"].append(
        {
            "id": str(job_id),
            "cycle_id": str(write.cycle.id),
            "snapshot_id": str(snapshot),
            "max_retries": max_retries,
            **about,
        }
    )
    write.records.append(Record(STAGE, "job_enqueued", data={"job_id": str(job_id), **about}))
    return job_id
