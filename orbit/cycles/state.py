"""What a claimed cycle has behind it, read from its checkpoints: where a resume goes on."""

import time
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db import connection

from governance.namespaces import gate
from orbit.dispatch import claim
from orbit.dispatch.claim import Sending
from orbit.dispatch.endpoints import DEFAULT_KEY
from orbit.dispatch.tally import Tally
from orbit.pipeline.contract import Payload
from orbit.pipeline.transformations import TierResult
from orbit.records.checkpoints import Checkpoint
from orbit.records.fence import Work
from orbit.states import CYCLE, Cycle, Job, Tier

# Outputs and input may be large: they are read while something is still to be made of them.
TIERS = """SELECT t.id, t.tier, t.status, t.attempts, t.error, CASE WHEN %s THEN t.output END, t.output_content_type,
    extract(epoch FROM t.next_attempt_at - clock_timestamp())::float8 FROM orbit_transformation t WHERE t.cycle_id = %s"""
# Of the stage that has a time to keep, what was halted or paused of it doesn't count.
CHECKPOINTS = f"""SELECT k.stage, extract(epoch FROM clock_timestamp() - k.created_at)::float8
    - CASE WHEN k.stage = '{Checkpoint.DISPATCH_ENQUEUED}' THEN {gate.STOPPED_SECONDS_SQL.format(namespace="%(namespace)s", start="k.created_at")} ELSE 0 END
FROM orbit_cyclecheckpoint k WHERE k.cycle_id = %(cycle)s"""
JOBS = """SELECT j.id, j.status, extract(epoch FROM j.next_attempt_at - clock_timestamp())::float8, r.id, j.attempts, j.spent, j.max_retries,
    j.delivery_id, j.endpoint_key, j.requeue_of_id IS NOT NULL, j.snapshot_id, coalesce(j.created_at > c.finished_at, false)
FROM orbit_dispatchjob j JOIN orbit_cyclerun c ON c.id = j.cycle_id
LEFT JOIN orbit_deliveryreceipt r ON r.job_id = j.id AND r.status = 'sending' WHERE j.cycle_id = %s"""


@dataclass(slots=True)
class State:
    """What is done. A cycle whose status is final has nothing left but open deliveries: requeued ones, or such as outlived it.

    ``orphans`` are attempts that a lost worker left open; ``strays`` the receipts of such whose job has ended meanwhile by a late 2xx.
    ``later`` are open jobs that were made when the cycle had ended.
    """

    work: Work
    began: float = field(default_factory=time.monotonic)
    checkpoints: set[str] = field(default_factory=set)
    initiation_id: UUID | None = None
    tiers: dict[int, TierResult] = field(default_factory=dict)
    items: int = 0
    tally: Tally = field(default_factory=Tally)
    orphans: list[Sending] = field(default_factory=list)
    strays: list[UUID] = field(default_factory=list)
    later: set[UUID] = field(default_factory=set)

    @property
    def final(self) -> bool:
        """Whether the cycle's status is final."""
        return Cycle(self.work.status) in CYCLE.final

    @property
    def targets(self) -> int:
        """How many endpoints the cycle delivers to."""
        return len(self.work.context.get("distribution_targets") or [DEFAULT_KEY])

    @property
    def tiers_ended(self) -> bool:
        """Whether all three tiers have succeeded or failed for good."""
        return len(self.tiers) == 3 and all(result.ok is not None for result in self.tiers.values())

    @property
    def wait(self) -> float:
        """Seconds until a tier is due; zero or less when one is, or none was tried yet."""
        return min((result.wait for result in self.tiers.values() if result.ok is None), default=0.0) if len(self.tiers) == 3 else 0.0

    @property
    def tiers_ok(self) -> int:
        """How many tiers succeeded."""
        return sum(result.ok is True for result in self.tiers.values())

    def has(self, checkpoint: Checkpoint) -> bool:
        """Tell whether ``checkpoint`` was reached."""
        return checkpoint in self.checkpoints


def fresh(work: Work) -> State:
    """Return the state of a cycle that was just claimed for the first time: there is nothing to read."""
    return State(work)


def load(work: Work) -> State:
    """Return what ``work`` has behind it."""
    state = State(work)
    with connection.cursor() as cursor:
        cursor.execute(CHECKPOINTS, {"cycle": work.id, "namespace": work.namespace})
        ages = dict(cursor.fetchall())
        state.checkpoints = set(ages)
        normalized = state.has(Checkpoint.NORMALIZATION_COMPLETE)
        if state.has(Checkpoint.INITIATION_COMPLETE):
            cursor.execute("SELECT id FROM orbit_initiation WHERE initiation_hash = %s", [work.initiation_hash])
            state.initiation_id = cursor.fetchone()[0]
        cursor.execute(TIERS, [not normalized, work.id])
        for id_, tier, status, attempts, error, output, content_type, wait in cursor.fetchall():
            ok = {Tier.PENDING: None, Tier.SUCCESS: True, Tier.FAILED: False}[Tier(status)]
            payload = Payload(bytes(output), content_type) if ok and output is not None else None
            state.tiers[tier] = TierResult(tier, id_, ok, payload, attempts, error, wait or 0.0)
        if not state.tiers_ended and work.input is None:
            cursor.execute("SELECT input FROM orbit_cyclerun WHERE id = %s", [work.id])
            state.work = replace(work, input=bytes(cursor.fetchone()[0]))
        if normalized:
            cursor.execute("SELECT item_count FROM orbit_normalizationbatch WHERE cycle_id = %s", [work.id])
            state.items = cursor.fetchone()[0]
        cursor.execute(JOBS, [work.id])
        found = cursor.fetchall()
    _count(state, found)
    if state.has(Checkpoint.DISPATCH_ENQUEUED) and not state.final:
        state.tally.begin(ages[Checkpoint.DISPATCH_ENQUEUED])
    return state


def _count(state: State, rows: list[tuple[object, ...]]) -> None:
    """Sort the cycle's jobs into open ones, ended ones, and attempts that a lost worker left open. Requeued ones are no part of a running cycle's outcome."""
    tally, now = state.tally, time.monotonic()
    for job_id, status, wait, receipt_id, attempts, spent, max_retries, delivery_id, endpoint_key, requeued, snapshot_id, later in rows:
        if status in {Job.PENDING, Job.SENDING}:
            if requeued and not state.final:
                tally.aside.add(job_id)  # type: ignore[arg-type]
            tally.open[job_id] = now + (wait or 0.0)  # type: ignore[index,operator]
            if later:
                state.later.add(job_id)  # type: ignore[arg-type]
            if receipt_id is not None:
                endpoint = claim.opened(snapshot_id)  # type: ignore[arg-type]
                state.orphans.append(
                    Sending(state.work.id, receipt_id, job_id, attempts, spent, max_retries, delivery_id, endpoint_key, endpoint)  # type: ignore[arg-type]
                )
            continue
        if receipt_id is not None:
            state.strays.append(receipt_id)  # type: ignore[arg-type]
        if not requeued:
            tally.delivered += status == Job.DELIVERED
            tally.dead += status == Job.DEAD
            tally.cancelled += status == Job.CANCELLED
