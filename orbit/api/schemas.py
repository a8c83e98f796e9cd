"""How rows look in answers."""

from typing import Any

from governance.rest.schemas import (
    FREE,
    NUMBER,
    SHA256,
    TEXT,
    TIME,
    TRUTH,
    UUID,
    WHOLE,
    many,
    maybe,
    one_of,
    record,
)
from orbit.cycles.detail import CycleDetail
from orbit.models import (
    CycleRun,
    DeadLetterDispatch,
    DeliveryReceipt,
    DispatchJob,
    NormalizationItem,
    Transformation,
)
from orbit.states import Attempt, Cycle, Job, Letter, Tier, Trigger

_CYCLE = {
    "id": UUID,
    "namespace": TEXT,
    "status": one_of(Cycle),
    "trigger": one_of(Trigger),
    "triggered_by": TEXT,
    "profile_id": maybe(TEXT),
    "run_profile_id": maybe(TEXT),
    "created_at": TIME,
    "started_at": maybe(TIME),
    "finished_at": maybe(TIME),
    "reason": TEXT,
    "rerun_of": maybe(UUID),
}
CYCLE = record("Cycle", **_CYCLE)


def cycle(row: CycleRun) -> dict[str, Any]:
    """A cycle in a list."""
    return {
        "id": row.pk,
        "namespace": row.namespace_id,
        "status": row.status,
        "trigger": row.trigger,
        "triggered_by": row.triggered_by,
        "profile_id": row.profile_id,
        "run_profile_id": row.run_profile_id,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "reason": row.reason,
        "rerun_of": row.rerun_of_id,
    }


def cycle_detail(found: CycleDetail) -> dict[str, Any]:
    """A cycle with everything that hangs on it; payloads by size and hash."""
    row = found.cycle
    return {
        **cycle(row),
        "profile_revision": row.profile_revision,
        "run_profile_revision": row.run_profile_revision,
        "instruction_id": row.instruction_id,
        "initiation_hash": row.initiation_hash,
        "input": {
            "content_type": found.input.content_type,
            "sha256": found.input.sha256,
            "size": found.input.size,
        },
        "next_due_at": row.next_due_at,
        "lease_expires_at": row.lease_expires_at,
        "fencing_token": row.fencing_token,
        "resumes": row.resumes,
        "reruns": [again.pk for again in found.reruns],
        "taken_over": row.takeover,
        "stages": found.stages,
        "deliveries": {
            "total": found.deliveries.total,
            "delivered": found.deliveries.delivered,
            "dead": found.deliveries.dead,
            "cancelled": found.deliveries.cancelled,
            "open": found.deliveries.open,
        },
        "tiers": [_tier(tier) for tier in found.tiers],
        "items": [_item(item) for item in found.items],
        "jobs": [_job(job) for job in found.jobs],
        "receipts": [_receipt(receipt) for receipt in found.receipts],
        "dead_letters": [dead_letter(letter) for letter in found.dead_letters],
        "records": [
            {
                "id": r.pk,
                "stage": r.stage,
                "event": r.event,
                "level": r.level,
                "message": r.message,
                "data": r.data,
                "created_at": r.created_at,
            }
            for r in found.records
        ],
        "checkpoints": [
            {"stage": mark.stage, "created_at": mark.created_at} for mark in found.checkpoints
        ],
        "truncated": sorted(found.cut),
    }


_TIER = record(
    "Tier",
    id=UUID,
    tier=WHOLE,
    transformer=TEXT,
    status=one_of(Tier),
    attempts=WHOLE,
    next_attempt_at=maybe(TIME),
    output_content_type=TEXT,
    output_sha256=maybe(SHA256),
    taken_from=maybe(UUID),
    error=TEXT,
    started_at=maybe(TIME),
    finished_at=maybe(TIME),
)


def _tier(row: Transformation) -> dict[str, Any]:
    return {
        "id": row.pk,
        "tier": row.tier,
        "transformer": row.transformer,
        "status": row.status,
        "attempts": row.attempts,
        "next_attempt_at": row.next_attempt_at,
        "output_content_type": row.output_content_type,
        "output_sha256": row.output_sha256,
        "taken_from": row.taken_from_id,
        "error": row.error,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


_ITEM = record(
    "Item", id=UUID, transformation_id=UUID, content_type=TEXT, sha256=SHA256, created_at=TIME
)


def _item(row: NormalizationItem) -> dict[str, Any]:
    return {
        "id": row.pk,
        "transformation_id": row.transformation_id,
        "content_type": row.content_type,
        "sha256": row.sha256,
        "created_at": row.created_at,
    }


_JOB = record(
    "Job",
    id=UUID,
    cycle_run_id=UUID,
    normalization_item_id=UUID,
    endpoint_key=TEXT,
    host=TEXT,
    delivery_id=UUID,
    status=one_of(Job),
    attempts=WHOLE,
    max_retries=WHOLE,
    next_attempt_at=maybe(TIME),
    requeue_of=maybe(UUID),
    last_error=TEXT,
    created_at=TIME,
    finished_at=maybe(TIME),
)


def _job(row: DispatchJob) -> dict[str, Any]:
    return {
        "id": row.pk,
        "cycle_run_id": row.cycle_id,
        "normalization_item_id": row.normalization_item_id,
        "endpoint_key": row.endpoint_key,
        "host": row.snapshot.host,
        "delivery_id": row.delivery_id,
        "status": row.status,
        "attempts": row.attempts,
        "max_retries": row.max_retries,
        "next_attempt_at": row.next_attempt_at,
        "requeue_of": row.requeue_of_id,
        "last_error": row.last_error,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


_RECEIPT = record(
    "Receipt",
    id=UUID,
    job_id=UUID,
    attempt=WHOLE,
    status=one_of(Attempt),
    started_at=TIME,
    finished_at=maybe(TIME),
    status_code=maybe(WHOLE),
    error_class=maybe(TEXT),
    error=TEXT,
    latency_ms=maybe(NUMBER),
    response_excerpt=TEXT,
    body_sha256=SHA256,
)


def _receipt(row: DeliveryReceipt) -> dict[str, Any]:
    return {
        "id": row.pk,
        "job_id": row.job_id,
        "attempt": row.attempt,
        "status": row.status,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "status_code": row.status_code,
        "error_class": row.error_class,
        "error": row.error,
        "latency_ms": row.latency_ms,
        "response_excerpt": row.response_excerpt,
        "body_sha256": row.body_sha256,
    }


LETTER = {
    "id": UUID,
    "job_id": UUID,
    "cycle_run_id": UUID,
    "namespace": TEXT,
    "endpoint_key": TEXT,
    "status": one_of(Letter),
    "reason": TEXT,
    "last_error": TEXT,
    "status_code": maybe(WHOLE),
    "attempts": WHOLE,
    "first_failed_at": maybe(TIME),
    "last_failed_at": maybe(TIME),
    "created_at": TIME,
    "requeued_job_id": maybe(UUID),
    "resolved_by": TEXT,
    "resolved_at": maybe(TIME),
    "resolved_reason": TEXT,
}


def dead_letter(row: DeadLetterDispatch) -> dict[str, Any]:
    """A dead letter, in a list and by itself."""
    return {
        "id": row.pk,
        "job_id": row.job_id,
        "cycle_run_id": row.cycle_id,
        "namespace": row.namespace,
        "endpoint_key": row.endpoint_key,
        "status": row.status,
        "reason": row.reason,
        "last_error": row.last_error,
        "status_code": row.status_code,
        "attempts": row.attempts,
        "first_failed_at": row.first_failed_at,
        "last_failed_at": row.last_failed_at,
        "created_at": row.created_at,
        "requeued_job_id": row.requeued_job_id,
        "resolved_by": row.resolved_by,
        "resolved_at": row.resolved_at,
        "resolved_reason": row.resolved_reason,
    }


_STAGE = record("Stage", name=TEXT, ok=TRUTH, done=WHOLE, total=WHOLE, skipped=TRUTH)
_RECORD = record(
    "Record", id=UUID, stage=TEXT, event=TEXT, level=TEXT, message=TEXT, data=FREE, created_at=TIME
)
CYCLE_DETAIL = record(
    "CycleDetail",
    **_CYCLE,
    profile_revision=maybe(WHOLE),
    run_profile_revision=maybe(WHOLE),
    instruction_id=maybe(TEXT),
    initiation_hash=SHA256,
    input=record(content_type=TEXT, sha256=SHA256, size=WHOLE),
    next_due_at=maybe(TIME),
    lease_expires_at=maybe(TIME),
    fencing_token=WHOLE,
    resumes=WHOLE,
    reruns=many(UUID),
    taken_over=maybe(
        record(
            items=WHOLE,
            wanted=WHOLE,
            delivered=WHOLE,
            tiers=many(WHOLE),
            normalize=many(WHOLE),
            valued=TRUTH,
        )
    ),
    stages=many(_STAGE),
    deliveries=record(total=WHOLE, delivered=WHOLE, dead=WHOLE, cancelled=WHOLE, open=WHOLE),
    tiers=many(_TIER),
    items=many(_ITEM),
    jobs=many(_JOB),
    receipts=many(_RECEIPT),
    dead_letters=many(record(**LETTER)),
    records=many(_RECORD),
    checkpoints=many(record(stage=TEXT, created_at=TIME)),
    truncated=many(TEXT),
    verdict=TEXT,
)
