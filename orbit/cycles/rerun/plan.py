"""What a re-run takes over and what it does anew: decided purely, then written in the transaction that makes the new cycle.

A tier that succeeded is taken over by reference, a row that points at the original; one that failed, or never came to an end, runs on the
old input. A delivery that was made is never made again. One that was not gets a copy of its newest job, under the same delivery id and for
the original item; a job is copied once, by whomever, which a unique index decides. Its endpoint is that of today, for a re-run follows a repair;
where none of its key is configured any more, as it was.
"""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection

from governance.kernel.identifiers import uuid7_text
from orbit.cycles.progress import ReusedCounts
from orbit.cycles.rerun.history import Delivery, History, ReusedTier
from orbit.dispatch.endpoints import DEFAULT_KEY
from orbit.pipeline import transformations
from orbit.records import execution
from orbit.records.checkpoints import TIERS as MARKS
from orbit.records.execution import Record
from orbit.states import LETTER
from orbit.states import Letter as LetterState

TIERS = """WITH tiers AS (
    INSERT INTO orbit_transformation (id, cycle_id, initiation_id, tier, transformer, status, attempts, output_content_type, output_sha256, taken_from,
        started_at, finished_at)
    SELECT x.id, %(cycle)s, t.initiation_id, t.tier, t.transformer, 'success', 0, t.output_content_type, t.output_sha256, t.id,
        clock_timestamp(), clock_timestamp()
    FROM json_to_recordset(%(tiers)s::json) AS x(id uuid, source uuid) JOIN orbit_transformation t ON t.id = x.source),
marks AS (
    INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token) SELECT %(cycle)s, stage, 0 FROM unnest(%(marks)s::text[]) AS stage)
UPDATE orbit_cyclerun SET takeover = %(takeover)s::jsonb WHERE id = %(cycle)s"""
JOBS = f"""WITH wanted AS (
    SELECT * FROM json_to_recordset(%(jobs)s::json)
        AS x(id uuid, item_id uuid, endpoint_key text, snapshot_id uuid, delivery_id uuid, copy_of uuid, letter_id uuid)),
jobs AS (
    INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key, snapshot_id, delivery_id, status, max_retries, next_attempt_at,
        requeue_of_id)
    SELECT id, %(cycle)s, item_id, endpoint_key, snapshot_id, delivery_id, 'pending', %(max_retries)s, clock_timestamp(), copy_of FROM wanted RETURNING id)
UPDATE orbit_deadletterdispatch l SET status = 'requeued', requeued_job_id = wanted.id, resolved_by = %(by)s, resolved_at = clock_timestamp(),
    resolved_reason = %(reason)s
FROM wanted JOIN jobs ON jobs.id = wanted.id WHERE l.id = wanted.letter_id AND l.status IN ({LETTER.sql_sources(LetterState.REQUEUED)})"""


class DeliveryAction(StrEnum):
    """What a re-run does with a delivery: send it, or leave it for one of the reasons that follow."""

    SEND = "send"
    DELIVERED = "delivered"
    DISMISSED = "dismissed"
    OPEN = "open"
    UNKNOWN_ENDPOINT = "unknown_endpoint"


@dataclass(frozen=True, slots=True)
class PlannedDelivery:
    """One item to one endpoint, and what the re-run does with it. Without a ``last`` there was never a job for it."""

    item_id: UUID
    tier: int
    endpoint_key: str
    action: DeliveryAction
    last: Delivery | None = None


@dataclass(frozen=True, slots=True)
class RerunPlan:
    """What a re-run takes over (``done`` by tier), runs (``runs``), normalizes of what it takes over, and does with each delivery."""

    done: dict[int, ReusedTier]
    runs: list[int]
    normalize: list[int]
    deliveries: list[PlannedDelivery]
    valued: bool

    @property
    def sends(self) -> list[PlannedDelivery]:
        """The deliveries that get a job."""
        return [one for one in self.deliveries if one.action is DeliveryAction.SEND]

    @property
    def reused(self) -> ReusedCounts:
        """What counts in the new cycle's outcome beside what it does itself. What a person dismissed is wanted by nobody."""
        wanted = [one for one in self.deliveries if one.action is not DeliveryAction.DISMISSED]
        return ReusedCounts(
            items=sum(one.item_id is not None for one in self.done.values()),
            # Those that are sent are jobs of the new cycle, and counted by it when they are delivered.
            deliveries=len(wanted),
            delivered=sum(one.action is DeliveryAction.DELIVERED for one in wanted),
        )

    @property
    def document(self) -> dict[str, Any]:
        """It as the new cycle keeps it."""
        return {
            **self.reused.to_dict(),
            "tiers": sorted(self.done),
            "normalize": self.normalize,
            "valued": self.valued,
        }


def decide(lineage: History, *, known: Collection[str]) -> RerunPlan:
    """Return what a re-run of ``lineage`` does where endpoints of the keys ``known`` are configured."""
    sent = [
        PlannedDelivery(one.item_id, one.tier, one.endpoint_key, _action(one), one)
        for one in lineage.deliveries
    ]
    there = {(one.item_id, one.endpoint_key) for one in sent}
    for one in lineage.done.values():
        # What was to be delivered, and had no job since its endpoint wasn't configured then.
        if one.item_id is not None:
            for key in one.targets or [DEFAULT_KEY]:
                if (one.item_id, key) not in there:
                    sent.append(
                        PlannedDelivery(
                            one.item_id,
                            one.tier,
                            key,
                            DeliveryAction.SEND
                            if key in known
                            else DeliveryAction.UNKNOWN_ENDPOINT,
                        )
                    )
    return RerunPlan(
        done=lineage.done,
        runs=[tier for tier in MARKS if tier not in lineage.done],
        normalize=[tier for tier, one in lineage.done.items() if one.item_id is None],
        deliveries=sorted(sent, key=lambda one: (one.tier, one.endpoint_key)),
        valued=lineage.valued,
    )


def _action(delivery: Delivery) -> DeliveryAction:
    if delivery.delivered:
        return DeliveryAction.DELIVERED
    if delivery.open:
        return DeliveryAction.OPEN
    dismissed = delivery.letter is not None and delivery.letter.status == LetterState.DISMISSED
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
    """Put what ``plan`` says into the new cycle ``cycle_id``, with its jobs and the letters that they answer; five statements.

    ``snapshots`` are those of today's endpoints by key. In the transaction that made the cycle: what is not committed together never was.
    """
    tiers = [
        {
            "id": str(transformations.transformation_id(cycle_id, tier)),
            "source": str(one.transformation_id),
        }
        for tier, one in plan.done.items()
    ]
    jobs = [_job(one, snapshots) for one in plan.sends]
    kept = execution.clean(reason)
    with connection.cursor() as cursor:
        cursor.execute(
            TIERS,
            {
                "cycle": cycle_id,
                "tiers": json.dumps(tiers),
                "marks": [str(MARKS[tier]) for tier in plan.done],
                "takeover": json.dumps(plan.document),
            },
        )
        cursor.execute(
            JOBS,
            {
                "cycle": cycle_id,
                "jobs": json.dumps(jobs),
                "max_retries": max_retries,
                "by": by,
                "reason": kept,
            },
        )
    data = {"by": by, "rerun": str(cycle_id), "rerun_of": str(rerun_of)}
    started = Record("cycle", "cycle_rerun", f"run again as {cycle_id}: {kept}", data=data)
    execution.write_all(
        [
            (started, namespace, rerun_of),
            *((record, namespace, cycle_id) for record in _records(plan, jobs, data, kept)),
        ]
    )
    for cycle, letters in _letters(plan, jobs, data, kept).items():
        execution.write_all([(record, namespace, cycle) for record in letters])


def _job(one: PlannedDelivery, snapshots: Mapping[str, UUID]) -> dict[str, Any]:
    last = one.last
    return {
        "id": uuid7_text(),
        "item_id": str(one.item_id),
        "endpoint_key": one.endpoint_key,
        "snapshot_id": str(snapshots.get(one.endpoint_key) or (last.snapshot_id if last else "")),
        "delivery_id": str(last.delivery_id if last else uuid.uuid4()),
        "copy_of": str(last.job_id) if last else None,
        "letter_id": str(last.letter.id) if last and last.letter else None,
    }


def _records(
    plan: RerunPlan, jobs: list[dict[str, Any]], data: Mapping[str, Any], reason: str
) -> list[Record]:
    told = [Record("cycle", "cycle_rerun_of", reason, data={**data, **plan.document})]
    for tier, one in plan.done.items():
        source = {
            "tier": tier,
            "transformation_id": str(one.transformation_id),
            "cycle_run_id": str(one.cycle_id),
            "sha256": one.sha256,
        }
        told.append(
            Record(
                "transformations", "tier_taken_over", f"tier {tier} succeeded before", data=source
            )
        )
    told += [Record("dispatch", "job_enqueued", data={key: job[key] for key in ("item_id", "endpoint_key", "delivery_id", "copy_of")} | {"job_id": job["id"]})
             for job in jobs]  # fmt: skip
    return told


def _letters(
    plan: RerunPlan, jobs: list[dict[str, Any]], data: Mapping[str, Any], reason: str
) -> dict[UUID, list[Record]]:
    """Return the records of the letters that were requeued, by the cycle that each belongs to."""
    told: dict[UUID, list[Record]] = {}
    for one, job in zip(plan.sends, jobs, strict=True):
        if one.last is not None and one.last.letter is not None:
            about = {
                **data,
                "dead_letter_id": str(one.last.letter.id),
                "requeued_job_id": job["id"],
                "delivery_id": job["delivery_id"],
            }
            told.setdefault(one.last.letter.cycle_id, []).append(
                Record("dispatch", "dead_letter_requeued", reason, data=about)
            )
    return told
