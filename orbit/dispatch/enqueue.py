"""Stage 4, first half: one job per item and target endpoint, each with a sealed snapshot of that endpoint.

Later changes of the configuration never touch a job in flight. The delivery id is minted here; every attempt carries it, and a requeue
copies it.
"""

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Endpoint
from orbit.outbound import secrets
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record
from orbit.records.fence import ClaimedCycle

STAGE = "dispatch"

#: A CTE of fenced statements; ``add_to`` makes the rows of its parameter ``jobs``.
INSERT_JOBS = sql.fragment(__name__, "insert_jobs")
CTES = (INSERT_JOBS.text,)  # for statements that are not in a file yet

SAVE_SNAPSHOT = sql.load(__name__, "save_snapshot")

# The endpoints of one configuration stay the same objects, so that identity tells whether a snapshot is that of today.
_known: dict[tuple[str, str], tuple[Endpoint, UUID]] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The jobs that were put into a write; ``complete`` tells whether every target got its jobs."""

    jobs: list[UUID]
    complete: bool


def snapshot_id(endpoint: Endpoint) -> UUID:
    """Return the id of the snapshot of ``endpoint``, written at its first use. Many jobs share one; a row says nothing but key and host."""
    place = (str(connection.settings_dict["NAME"]), endpoint.key)
    with _lock:
        known = _known.get(place)
    if known is not None and known[0] is endpoint:
        return known[1]
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
    found = UUID(str(row[0]))
    with _lock:
        _known[place] = (endpoint, found)
    return found


def announce() -> None:
    """Write today's endpoints down, with their caps, before anything is sent: a process calls it when it starts."""
    for endpoint in endpoints.configured().values():
        snapshot_id(endpoint)


def add_to(write: fence.FencedWrite, items: Sequence[UUID]) -> Enqueued:
    """Put the jobs of ``items`` into ``write``, whose statement has ``CTES``. A target that can't be served is recorded, the others go on."""
    work: ClaimedCycle = write.work
    known = endpoints.configured()
    wanted = work.context.get("distribution_targets") or [endpoints.DEFAULT_KEY]
    targets = [known[key] for key in wanted if key in known]
    missing = [key for key in wanted if key not in known]
    write.rows["jobs"] = []
    write.records.append(Record(STAGE, "stage_started"))
    if not known:
        write.records.append(
            Record(
                STAGE,
                "no_endpoint",
                "ORBIT_DISPATCH_ENDPOINTS is empty: nothing can be delivered",
                "warning",
            )
        )
    elif missing:
        write.records.append(
            Record(
                STAGE,
                "endpoint_unknown",
                f"not configured: {', '.join(missing)}",
                "error",
                {"endpoint_keys": missing},
            )
        )
    jobs = [
        _job(write, item, endpoint, max_retries(work.context))
        for item in items
        for endpoint in targets
    ]
    write.checkpoints.append(Checkpoint.DISPATCH_ENQUEUED)
    return Enqueued(jobs, complete=not missing)


def max_retries(context: Mapping[str, Any]) -> int:
    """Return how often a delivery of a cycle with this ``context`` is retried."""
    policy: Mapping[str, int] = context.get("execution_policy", {})
    return int(policy.get("max_dispatch_retries", settings.ORBIT_MAX_DISPATCH_RETRIES))


def _job(write: fence.FencedWrite, item: UUID, endpoint: Endpoint, max_retries: int) -> UUID:
    job_id, delivery_id = uuid7(), uuid.uuid4()
    write.rows["jobs"].append(
        {
            "id": str(job_id),
            "cycle_id": str(write.work.id),
            "item_id": str(item),
            "endpoint_key": endpoint.key,
            "snapshot_id": str(snapshot_id(endpoint)),
            "delivery_id": str(delivery_id),
            "max_retries": max_retries,
        }
    )
    data = {
        "job_id": str(job_id),
        "item_id": str(item),
        "endpoint_key": endpoint.key,
        "delivery_id": str(delivery_id),
    }
    write.records.append(Record(STAGE, "job_enqueued", data=data))
    return job_id
