"""How rows look in answers."""

from typing import Any

from orbit.cycles.detail import Detail
from orbit.models import CycleRun, DeadLetterDispatch, DeliveryReceipt, DispatchJob, NormalizationItem, Transformation


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


def cycle_detail(found: Detail) -> dict[str, Any]:
    """A cycle with everything that hangs on it; payloads by size and hash."""
    row = found.cycle
    return {
        **cycle(row),
        "profile_revision": row.profile_revision,
        "run_profile_revision": row.run_profile_revision,
        "instruction_id": row.instruction_id,
        "initiation_hash": row.initiation_hash,
        "input": {"content_type": found.input.content_type, "sha256": found.input.sha256, "size": found.input.size},
        "next_due_at": row.next_due_at,
        "lease_expires_at": row.lease_expires_at,
        "fencing_token": row.fencing_token,
        "resumes": row.resumes,
        "reruns": [again.pk for again in found.reruns],
        "taken_over": row.takeover,
        "stages": found.stages,
        "deliveries": {
            "total": found.tally.total,
            "delivered": found.tally.delivered,
            "dead": found.tally.dead,
            "cancelled": found.tally.cancelled,
            "open": found.tally.open,
        },
        "tiers": [_tier(tier) for tier in found.tiers],
        "items": [_item(item) for item in found.items],
        "jobs": [_job(job) for job in found.jobs],
        "receipts": [_receipt(receipt) for receipt in found.receipts],
        "dead_letters": [dead_letter(letter) for letter in found.dead_letters],
        "records": [
            {"id": r.pk, "stage": r.stage, "event": r.event, "level": r.level, "message": r.message, "data": r.data, "created_at": r.created_at}
            for r in found.records
        ],
        "checkpoints": [{"stage": mark.stage, "created_at": mark.created_at} for mark in found.checkpoints],
        "truncated": sorted(found.cut),
    }


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


def _item(row: NormalizationItem) -> dict[str, Any]:
    return {"id": row.pk, "transformation_id": row.transformation_id, "content_type": row.content_type, "sha256": row.sha256, "created_at": row.created_at}


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
