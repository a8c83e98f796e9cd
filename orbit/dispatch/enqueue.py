"""Make a cycle's delivery jobs: one for each item and target endpoint.

Each job has a sealed snapshot of its endpoint: later changes of the configuration don't affect it.
All its attempts have one delivery id, and a requeue copies it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from psycopg.errors import ForeignKeyViolation, NotNullViolation

from governance.kernel import sql
from governance.kernel.identifiers import uuid7
from governance.namespaces import gate
from orbit.dispatch import endpoints
from orbit.dispatch.endpoints import Endpoint
from orbit.models import DispatchJob
from orbit.outbound import secrets
from orbit.records import fence
from orbit.records.checkpoints import Checkpoint
from orbit.records.execution import Record

STAGE = "dispatch"
_T = TypeVar("_T")

#: CTEs of fenced statements. ``add_to`` makes the rows of their parameter ``jobs``; ``first_wave``
#: makes the others, and reads ``begun``.
INSERT_JOBS = sql.fragment(
    __name__,
    "insert_jobs",
    gate_is_open=gate.OPEN,
    is_limited=sql.fragment(__name__, "is_limited"),
)

FIND_SNAPSHOT = sql.load(__name__, "find_snapshot")
SAVED_CAPS = sql.load(__name__, "saved_caps")
SAVE_SNAPSHOT = sql.load(__name__, "save_snapshot")


def add_to(
    write: fence.FencedWrite, items: Sequence[UUID], *, fingerprint: Callable[[Endpoint], str]
) -> list[UUID]:
    """Add the jobs of ``items`` to a write with ``INSERT_JOBS``; return their ids.

    Commit it with ``first_wave.commit``. ``fingerprint`` is a cache of ``fingerprint_of``.
    """
    cycle = write.cycle
    configured = endpoints.configured()
    keys = targets(cycle.context)
    chosen = [configured[key] for key in keys if key in configured]
    named = [(endpoint.key, fingerprint(endpoint)) for endpoint in chosen]
    write.records.append(Record(STAGE, "stage_started"))
    # A missing target doesn't stop the others.
    _record_missing(write, [key for key in keys if key not in configured], configured)
    # None begins in this write, unless `first_wave` asks for it.
    write.rows.update({"jobs": [], "full": []})
    write.values["worker"] = None
    retries = max_retries(cycle.context)
    jobs = [
        _add_job(write, item, key, snapshot, retries) for item in items for key, snapshot in named
    ]
    write.checkpoints.append(Checkpoint.DISPATCH_ENQUEUED)
    return jobs


def targets(context: Mapping[str, Any]) -> Sequence[str]:
    """Return the keys of the endpoints that a cycle delivers to."""
    return context.get("distribution_targets") or [endpoints.DEFAULT_KEY]


def max_retries(context: Mapping[str, Any]) -> int:
    """Return how often a cycle's deliveries are retried."""
    policy: Mapping[str, int] = context.get("execution_policy", {})
    return int(policy.get("max_dispatch_retries", settings.ORBIT_MAX_DISPATCH_RETRIES))


def commit(act: Callable[[], _T]) -> _T:
    """Call ``act``, which commits jobs; if a snapshot is missing, save it and call again."""
    try:
        return act()
    except IntegrityError as error:
        if not _is_missing_snapshot(error):
            raise
    # A failover lost the snapshots, or a restore. Nothing of the statement was written.
    for endpoint in endpoints.configured().values():
        snapshot_id(endpoint)
    return act()


def _is_missing_snapshot(error: IntegrityError) -> bool:
    cause = error.__cause__
    if not isinstance(cause, NotNullViolation | ForeignKeyViolation):
        return False
    where = cause.diag.column_name or cause.diag.constraint_name or ""
    return cause.diag.table_name == DispatchJob._meta.db_table and "snapshot_id" in where


def fingerprint_of(endpoint: Endpoint) -> str:
    """Return what names the endpoint's snapshot: the same in every process."""
    document = endpoints.snapshot_document(endpoint)
    return secrets.fingerprint(document, settings.ORBIT_ENCRYPTION_KEYS)


def snapshot_id(endpoint: Endpoint) -> UUID:
    """Return the id of the endpoint's snapshot, saved if there is none."""
    # Read first. Saving locks the endpoint's row, which workers lock after cycles. It also writes
    # the caps, which a replaced worker of an older configuration must not bring back.
    row = FIND_SNAPSHOT.one(fingerprint=fingerprint_of(endpoint))
    return save_snapshot(endpoint) if row is None else UUID(str(row[0]))


def save_snapshot(endpoint: Endpoint) -> UUID:
    """Save the snapshot of ``endpoint`` and its caps; return its id."""
    document = endpoints.snapshot_document(endpoint)
    row = SAVE_SNAPSHOT.one(
        id=uuid7(),
        state=uuid7(),
        key=endpoint.key,
        host=endpoint.host,
        fingerprint=fingerprint_of(endpoint),
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


def restore_configured() -> None:
    """Save the configured endpoints whose rows are gone or have other caps."""
    by_fingerprint = {
        fingerprint_of(endpoint): endpoint for endpoint in endpoints.configured().values()
    }
    saved = SAVED_CAPS.rows(fingerprints=list(by_fingerprint))
    caps = {fingerprint: limits for fingerprint, *limits in saved}
    for fingerprint, endpoint in by_fingerprint.items():
        if caps.get(fingerprint) != [endpoint.max_concurrency, endpoint.rate_per_second]:
            save_snapshot(endpoint)


def _record_missing(
    write: fence.FencedWrite, missing: Sequence[str], configured: Mapping[str, Endpoint]
) -> None:
    if not configured:
        message = "ORBIT_DISPATCH_ENDPOINTS is empty: nothing can be delivered"
        write.records.append(Record(STAGE, "no_endpoint", message, "warning"))
    elif missing:
        message = f"not configured: {', '.join(missing)}"
        data = {"endpoint_keys": list(missing)}
        write.records.append(Record(STAGE, "endpoint_unknown", message, "error", data))


def _add_job(
    write: fence.FencedWrite, item: UUID, endpoint_key: str, fingerprint: str, max_retries: int
) -> UUID:
    # Both in order of time: random ones would touch another page of their index each time.
    job_id, delivery_id = uuid7(), uuid7()
    about = {"item_id": item, "endpoint_key": endpoint_key, "delivery_id": delivery_id}
    write.rows["jobs"].append(
        {
            "id": job_id,
            "cycle_id": write.cycle.id,
            "fingerprint": fingerprint,
            "max_retries": max_retries,
            **about,
        }
    )
    write.records.append(Record(STAGE, "job_enqueued", data={"job_id": job_id, **about}))
    return job_id
