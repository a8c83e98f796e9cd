"""Ended cycles with their tiers and deliveries, written as rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from governance.kernel.canonical import sha256_hex
from governance.kernel.identifiers import uuid7
from orbit.models import (
    CycleRun,
    DeliveryReceipt,
    DispatchJob,
    EndpointSnapshot,
    Initiation,
    NormalizationBatch,
    NormalizationItem,
    Transformation,
)

#: Endpoint, whether it arrived, attempts.
Delivery = tuple[str, bool, int]


def record(
    count: int,
    *,
    tier: tuple[int, bool, int] = (3, True, 1),
    deliveries: Sequence[Delivery] = (),
    status: str = "success",
    run_profile_id: str = "daily-eu",
    profile_id: str = "daily",
    namespace: str = "eu",
    revision: int = 1,
    trigger: str = "rest",
    created_at: datetime | None = None,
) -> list[UUID]:
    """Record equal cycles of one tier (number, whether it succeeded, attempts); return their ids.

    A delivery that didn't arrive is dead after its attempts, each answered with 503.
    """
    cycles = [
        CycleRun(
            id=uuid7(),
            namespace_id=namespace,
            status=status,
            trigger=trigger,
            profile_id=profile_id,
            profile_revision=revision,
            run_profile_id=run_profile_id,
            run_profile_revision=1,
            context={},
            initiation_hash="0" * 64,
            input=b"{}",
            input_content_type="application/json",
            input_sha256="0" * 64,
            created_at=created_at or Now(),
            started_at=Now(),
            finished_at=Now(),
        )
        for _ in range(count)
    ]
    CycleRun.objects.bulk_create(cycles)
    number, succeeded, attempts = tier
    initiation, _ = Initiation.objects.get_or_create(
        initiation_hash="0" * 64, defaults={"id": uuid7(), "namespace": namespace}
    )
    for cycle in cycles:
        transformation = Transformation.objects.create(
            id=uuid7(),
            cycle=cycle,
            initiation=initiation,
            tier=number,
            transformer="http",
            status="success" if succeeded else "failed",
            attempts=attempts,
            output=b"x" if succeeded else None,
        )
        if deliveries:
            _deliver(cycle, transformation, deliveries)
    return [cycle.id for cycle in cycles]


def _deliver(cycle: CycleRun, transformation: Any, deliveries: Sequence[Delivery]) -> None:
    batch = NormalizationBatch.objects.create(
        id=uuid7(), cycle=cycle, processor="passthrough", item_count=1
    )
    item = NormalizationItem.objects.create(
        id=uuid7(),
        batch=batch,
        transformation=transformation,
        payload=b"x",
        content_type="text/plain",
        sha256=sha256_hex(b"x"),
    )
    for endpoint, arrived, attempts in deliveries:
        job = DispatchJob.objects.create(
            id=uuid7(),
            cycle=cycle,
            normalization_item=item,
            endpoint_key=endpoint,
            snapshot=_snapshot(endpoint),
            delivery_id=uuid7(),
            status="delivered" if arrived else "dead",
            attempts=attempts,
            max_retries=3,
        )
        DeliveryReceipt.objects.bulk_create(
            DeliveryReceipt(
                id=uuid7(),
                job=job,
                attempt=number,
                status="delivered" if arrived and number == attempts else "failed",
                worker="w",
                fencing_token=1,
                status_code=200 if arrived and number == attempts else 503,
                body_sha256="0" * 64,
            )
            for number in range(1, attempts + 1)
        )


def _snapshot(endpoint: str) -> EndpointSnapshot:
    snapshot, _ = EndpointSnapshot.objects.get_or_create(
        fingerprint=sha256_hex(endpoint.encode()),
        defaults={"id": uuid7(), "endpoint_key": endpoint, "host": "h", "sealed": b""},
    )
    return snapshot
