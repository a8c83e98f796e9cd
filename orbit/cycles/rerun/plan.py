"""Decide what a re-run reuses and what it does anew; write it with the new cycle.

A delivery that was made is never made again. Another gets a copy of its newest job, with the same
delivery id; a unique index allows one copy of a job.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from governance.kernel import routing, sql
from governance.kernel.identifiers import uuid7, uuid7_text
from orbit.cycles.progress import ReusedCounts
from orbit.cycles.rerun.history import (
    DeadLetterRef,
    DeliveryHistory,
    RerunHistory,
    ReusableTier,
)
from orbit.dispatch.endpoints import DEFAULT_KEY
from orbit.pipeline import transformations
from orbit.records import checkpoints, execution
from orbit.records.execution import Record
from orbit.states import LETTER, Letter

REUSE_TIERS = sql.load(__name__, "reuse_tiers")
COPY_JOBS = sql.load(__name__, "copy_jobs", letter_sources=LETTER.sql_sources(Letter.REQUEUED))


class DeliveryAction(StrEnum):
    """What a re-run does with a delivery."""

    SEND = "send"
    # Leave it, for this reason:
    DELIVERED = "delivered"
    DISMISSED = "dismissed"
    OPEN = "open"
    UNKNOWN_ENDPOINT = "unknown_endpoint"


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """One item to one endpoint in a re-run."""

    item_id: UUID
    tier: int
    endpoint_key: str
    action: DeliveryAction
    previous: DeliveryHistory | None = None  # None: it never had a job

    @property
    def letter(self) -> DeadLetterRef | None:
        """The dead letter of its newest job."""
        return self.previous.letter if self.previous else None


@dataclass(frozen=True, slots=True)
class RerunPlan:
    """What a re-run does, by tier and delivery."""

    reused_tiers: dict[int, ReusableTier]
    tiers_to_run: list[int]
    tiers_to_normalize: list[int]  # reused, but without an item
    deliveries: list[PlannedDelivery]
    valued: bool

    @property
    def to_send(self) -> list[PlannedDelivery]:
        """The deliveries that get a job."""
        return [item for item in self.deliveries if item.action is DeliveryAction.SEND]

    @property
    def letters(self) -> list[DeadLetterRef]:
        """The dead letters that it requeues."""
        return [delivery.letter for delivery in self.to_send if delivery.letter is not None]

    @property
    def reused(self) -> ReusedCounts:
        """What the new cycle's outcome counts beside its own work."""
        actions = [delivery.action for delivery in self.deliveries]
        return ReusedCounts(
            items=sum(tier.item_id is not None for tier in self.reused_tiers.values()),
            # A user gave up the dismissed ones: they are not missing.
            deliveries=sum(action is not DeliveryAction.DISMISSED for action in actions),
            # Those to send are jobs of the new cycle, which counts them once they are delivered.
            delivered=sum(action is DeliveryAction.DELIVERED for action in actions),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as the column ``takeover`` stores it."""
        return {
            **self.reused.to_dict(),
            "tiers": sorted(self.reused_tiers),
            "normalize": self.tiers_to_normalize,
            "valued": self.valued,
        }


def decide(history: RerunHistory, *, configured: Collection[str]) -> RerunPlan:
    """Return what a re-run does while the endpoints ``configured`` exist."""
    deliveries = [
        PlannedDelivery(
            previous.item_id, previous.tier, previous.endpoint_key, _action(previous), previous
        )
        for previous in history.deliveries
    ]
    pairs = {(delivery.item_id, delivery.endpoint_key) for delivery in deliveries}
    for tier in history.tiers.values():
        if tier.item_id is None:
            continue
        for key in tier.targets or [DEFAULT_KEY]:
            # It has no job, because its endpoint wasn't configured then.
            if (tier.item_id, key) not in pairs:
                action = (
                    DeliveryAction.SEND if key in configured else DeliveryAction.UNKNOWN_ENDPOINT
                )
                deliveries.append(PlannedDelivery(tier.item_id, tier.tier, key, action))
    return RerunPlan(
        reused_tiers=history.tiers,
        tiers_to_run=[tier for tier in checkpoints.TIERS if tier not in history.tiers],
        tiers_to_normalize=[
            number for number, tier in history.tiers.items() if tier.item_id is None
        ],
        deliveries=sorted(deliveries, key=lambda delivery: (delivery.tier, delivery.endpoint_key)),
        valued=history.valued,
    )


def _action(delivery: DeliveryHistory) -> DeliveryAction:
    if delivery.delivered:
        return DeliveryAction.DELIVERED
    if delivery.open:
        return DeliveryAction.OPEN
    dismissed = delivery.letter is not None and delivery.letter.status == Letter.DISMISSED
    return DeliveryAction.DISMISSED if dismissed else DeliveryAction.SEND


def write(
    plan: RerunPlan,
    *,
    cycle_id: UUID,
    rerun_of: UUID,
    namespace: str,
    max_retries: int,
    snapshots: Mapping[str, UUID],
    by: str,
    reason: str,
) -> None:
    """Write ``plan`` in the transaction that inserted the new cycle."""
    reason = execution.clean(reason)
    tiers = [
        {
            "id": str(transformations.transformation_id(cycle_id, number)),
            "source": str(tier.transformation_id),
        }
        for number, tier in plan.reused_tiers.items()
    ]
    jobs = [_job(delivery, snapshots) for delivery in plan.to_send]
    # By reference: outputs may be large.
    reused = {
        "cycle": cycle_id,
        "tiers": json.dumps(tiers),
        "checkpoints": [str(checkpoints.TIERS[number]) for number in plan.reused_tiers],
        "takeover": json.dumps(plan.to_dict()),
    }
    routing.run(lambda: REUSE_TIERS.execute(**reused))
    COPY_JOBS.execute(
        cycle=cycle_id, jobs=json.dumps(jobs), max_retries=max_retries, by=by, reason=reason
    )
    data = {"by": by, "rerun": str(cycle_id), "rerun_of": str(rerun_of)}
    message = f"run again as {cycle_id}: {reason}"
    execution.write_all(
        [
            (Record("cycle", "cycle_rerun", message, data=data), namespace, rerun_of),
            *((record, namespace, cycle_id) for record in _cycle_records(plan, jobs, data, reason)),
        ]
    )
    for cycle, records in _letter_records(plan, jobs, data, reason).items():
        execution.write_all([(record, namespace, cycle) for record in records])


def _job(delivery: PlannedDelivery, snapshots: Mapping[str, UUID]) -> dict[str, Any]:
    previous, letter = delivery.previous, delivery.letter
    # To the endpoint as it is now, because a re-run usually follows a repair.
    snapshot = snapshots.get(delivery.endpoint_key) or (previous.snapshot_id if previous else "")
    return {
        "id": uuid7_text(),
        "item_id": str(delivery.item_id),
        "endpoint_key": delivery.endpoint_key,
        "snapshot_id": str(snapshot),
        "delivery_id": str(previous.delivery_id if previous else uuid7()),
        "copy_of": str(previous.job_id) if previous else None,
        "letter_id": str(letter.id) if letter else None,
    }


def _cycle_records(
    plan: RerunPlan, jobs: list[dict[str, Any]], data: Mapping[str, Any], reason: str
) -> list[Record]:
    records = [Record("cycle", "cycle_rerun_of", reason, data={**data, **plan.to_dict()})]
    for number, tier in plan.reused_tiers.items():
        source = {
            "tier": number,
            "transformation_id": str(tier.transformation_id),
            "cycle_run_id": str(tier.cycle_id),
            "sha256": tier.sha256,
        }
        message = f"tier {number} succeeded before"
        records.append(Record("transformations", "tier_taken_over", message, data=source))
    for job in jobs:
        facts = {key: job[key] for key in ("item_id", "endpoint_key", "delivery_id", "copy_of")}
        records.append(Record("dispatch", "job_enqueued", data={**facts, "job_id": job["id"]}))
    return records


def _letter_records(
    plan: RerunPlan, jobs: list[dict[str, Any]], data: Mapping[str, Any], reason: str
) -> dict[UUID, list[Record]]:
    # By the cycle of each letter, which needn't be the one that runs again.
    records: dict[UUID, list[Record]] = {}
    for delivery, job in zip(plan.to_send, jobs, strict=True):
        if delivery.letter is not None:
            facts = {
                **data,
                "dead_letter_id": str(delivery.letter.id),
                "requeued_job_id": job["id"],
                "delivery_id": job["delivery_id"],
            }
            records.setdefault(delivery.letter.cycle_id, []).append(
                Record("dispatch", "dead_letter_requeued", reason, data=facts)
            )
    return records
