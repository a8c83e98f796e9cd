"""What a claimed cycle has behind it, read from its checkpoints: where a resume goes on."""

import time
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import connection

from governance.namespaces import gate
from orbit.cycles.outcome import ReusedCounts
from orbit.dispatch import claim
from orbit.dispatch.claim import Sending
from orbit.dispatch.endpoints import DEFAULT_KEY
from orbit.dispatch.tally import Tally
from orbit.pipeline.contract import Payload
from orbit.pipeline.transformations import TierResult
from orbit.records.checkpoints import Checkpoint
from orbit.records.fence import ClaimedCycle
from orbit.states import CYCLE, Cycle, Job, Tier

# Outputs and input may be large: they are read when something is about to be made of them, and let go of then.
TIERS = """SELECT t.id, t.tier, t.status, t.attempts, t.error, t.output_sha256, t.taken_from IS NOT NULL,
    extract(epoch FROM t.next_attempt_at - clock_timestamp())::float8 FROM orbit_transformation t WHERE t.cycle_id = %s"""
# Of the stage that has a time to keep, what was halted or paused of it doesn't count.
CHECKPOINTS = f"""SELECT k.stage, extract(epoch FROM clock_timestamp() - k.created_at)::float8
    - CASE WHEN k.stage = '{Checkpoint.DISPATCH_ENQUEUED}' THEN {gate.STOPPED_SECONDS_SQL.format(namespace="%(namespace)s", start="k.created_at")} ELSE 0 END
FROM orbit_cyclecheckpoint k WHERE k.cycle_id = %(cycle)s"""
OUTPUTS = """SELECT t.tier, coalesce(t.output, o.output), t.output_content_type FROM orbit_transformation t
LEFT JOIN orbit_transformation o ON o.id = t.taken_from WHERE t.cycle_id = %s AND t.tier = ANY(%s)"""
INPUT = "SELECT input FROM orbit_cyclerun WHERE id = %s"
JOBS = """SELECT j.id, j.status, extract(epoch FROM j.next_attempt_at - clock_timestamp())::float8, r.id, j.attempts, j.spent, j.max_retries,
    j.delivery_id, j.endpoint_key, o.cycle_id IS NOT DISTINCT FROM j.cycle_id, j.snapshot_id, coalesce(j.created_at > c.finished_at, false)
FROM orbit_dispatchjob j LEFT JOIN orbit_dispatchjob o ON o.id = j.requeue_of_id JOIN orbit_cyclerun c ON c.id = j.cycle_id
LEFT JOIN orbit_deliveryreceipt r ON r.job_id = j.id AND r.status = 'sending' WHERE j.cycle_id = %s"""


@dataclass(slots=True)
class CycleProgress:
    """What is done. A cycle whose status is final has nothing left but open deliveries: requeued ones, or such as outlived it.

    ``abandoned`` are attempts that a lost worker left open; ``abandoned_receipts`` the receipts of such whose job has ended meanwhile by a late 2xx.
    ``added_after_end`` are open jobs that were made when the cycle had ended.
    """

    cycle: ClaimedCycle
    began: float = field(default_factory=time.monotonic)
    checkpoints: set[str] = field(default_factory=set)
    initiation_id: UUID | None = None
    tiers: dict[int, TierResult] = field(default_factory=dict)
    items: int = 0
    jobs: Tally = field(default_factory=Tally)
    abandoned: list[Sending] = field(default_factory=list)
    abandoned_receipts: list[UUID] = field(default_factory=list)
    added_after_end: set[UUID] = field(default_factory=set)

    @property
    def final(self) -> bool:
        """Whether the cycle's status is final."""
        return Cycle(self.cycle.status) in CYCLE.final

    @property
    def targets(self) -> int:
        """How many endpoints the cycle delivers to."""
        return len(self.cycle.context.get("distribution_targets") or [DEFAULT_KEY])

    @property
    def tiers_ended(self) -> bool:
        """Whether all three tiers have succeeded or failed for good."""
        return len(self.tiers) == 3 and all(result.ok is not None for result in self.tiers.values())

    @property
    def wait(self) -> float:
        """Seconds until a tier is due; zero or less when one is, or none was tried yet."""
        return (
            min((result.wait for result in self.tiers.values() if result.ok is None), default=0.0)
            if len(self.tiers) == 3
            else 0.0
        )

    @property
    def tiers_ok(self) -> int:
        """How many tiers succeeded."""
        return sum(result.ok is True for result in self.tiers.values())

    @property
    def reused(self) -> ReusedCounts:
        """What a re-run has of earlier cycles."""
        kept = self.cycle.takeover or {}
        return ReusedCounts(*(int(kept.get(name, 0)) for name in ("items", "wanted", "delivered")))

    def has(self, checkpoint: Checkpoint) -> bool:
        """Tell whether ``checkpoint`` was reached."""
        return checkpoint in self.checkpoints

    def sources(self) -> list[TierResult]:
        """Return the tiers whose outputs are to become items; each with its output, read where it isn't at hand.

        Of those that a re-run took over, such as became no item yet.
        """
        left = (self.cycle.takeover or {}).get("normalize", ())
        found = [
            result
            for result in self.tiers.values()
            if result.ok and (not result.reused or result.tier in left)
        ]
        missing = [result.tier for result in found if result.payload is None]
        if missing:
            with connection.cursor() as cursor:
                cursor.execute(OUTPUTS, [self.cycle.id, missing])
                for tier, output, content_type in cursor.fetchall():
                    self.tiers[tier].payload = Payload(bytes(output), content_type)
        return found

    def read_input(self) -> None:
        """Have the input at hand."""
        if self.cycle.input is None:
            with connection.cursor() as cursor:
                cursor.execute(INPUT, [self.cycle.id])
                self.cycle = replace(self.cycle, input=bytes(cursor.fetchone()[0]))

    def release_payloads(self) -> None:
        """Let go of input and outputs: what is delivered stands in the database, and a delivery may take its time."""
        self.cycle = replace(self.cycle, input=None)
        for result in self.tiers.values():
            result.payload = None


def fresh(cycle: ClaimedCycle) -> CycleProgress:
    """Return the state of a cycle that was just claimed for the first time: there is nothing to read."""
    return CycleProgress(cycle)


def load(cycle: ClaimedCycle) -> CycleProgress:
    """Return what ``cycle`` has behind it."""
    state = CycleProgress(cycle)
    with connection.cursor() as cursor:
        cursor.execute(CHECKPOINTS, {"cycle": cycle.id, "namespace": cycle.namespace})
        ages = dict(cursor.fetchall())
        state.checkpoints = set(ages)
        normalized = state.has(Checkpoint.NORMALIZATION_COMPLETE)
        if state.has(Checkpoint.INITIATION_COMPLETE):
            cursor.execute(
                "SELECT id FROM orbit_initiation WHERE initiation_hash = %s",
                [cycle.initiation_hash],
            )
            state.initiation_id = cursor.fetchone()[0]
        cursor.execute(TIERS, [cycle.id])
        for id_, tier, status, attempts, error, sha256, reused, wait in cursor.fetchall():
            ok = {Tier.PENDING: None, Tier.SUCCESS: True, Tier.FAILED: False}[Tier(status)]
            state.tiers[tier] = TierResult(
                tier, id_, ok, None, attempts, error, wait or 0.0, sha256, reused
            )
        if normalized:
            cursor.execute(
                "SELECT item_count FROM orbit_normalizationbatch WHERE cycle_id = %s", [cycle.id]
            )
            state.items = cursor.fetchone()[0]
        cursor.execute(JOBS, [cycle.id])
        found = cursor.fetchall()
    _count(state, found)
    if state.has(Checkpoint.DISPATCH_ENQUEUED) and not state.final:
        state.jobs.begin(ages[Checkpoint.DISPATCH_ENQUEUED])
    return state


def _count(state: CycleProgress, rows: list[tuple[Any, ...]]) -> None:
    """Sort the cycle's jobs into open ones, ended ones, and attempts that a lost worker left open.

    Those that were requeued within it are no part of a running cycle's outcome; those that a re-run has of an earlier cycle are.
    """
    tally, now = state.jobs, time.monotonic()
    for (
        job_id,
        status,
        wait,
        receipt_id,
        attempts,
        spent,
        max_retries,
        delivery_id,
        endpoint_key,
        requeued,
        snapshot_id,
        later,
    ) in rows:
        if status in {Job.PENDING, Job.SENDING}:
            if requeued and not state.final:
                tally.aside.add(job_id)
            tally.open[job_id] = now + (wait or 0.0)
            if later:
                state.added_after_end.add(job_id)
            if receipt_id is not None:
                endpoint = claim.opened(snapshot_id)
                state.abandoned.append(
                    Sending(
                        state.cycle.id,
                        receipt_id,
                        job_id,
                        attempts,
                        spent,
                        max_retries,
                        delivery_id,
                        endpoint_key,
                        endpoint,
                    )
                )
            continue
        if receipt_id is not None:
            state.abandoned_receipts.append(receipt_id)
        if not requeued:
            tally.delivered += status == Job.DELIVERED
            tally.dead += status == Job.DEAD
            tally.cancelled += status == Job.CANCELLED
