"""How far a claimed cycle has come, and how it ends."""

import time
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from django.db import connection

from governance.kernel import sql
from governance.namespaces import gate
from orbit.dispatch import enqueue
from orbit.dispatch.claim import ClaimedJob
from orbit.dispatch.job_progress import JobProgress
from orbit.dispatch.state import EndpointCache
from orbit.pipeline.contract import Payload
from orbit.pipeline.transformations import TierResult
from orbit.records.checkpoints import Checkpoint
from orbit.records.fence import ClaimedCycle
from orbit.states import CYCLE, Cycle, Job, Tier

READ_CHECKPOINTS = sql.load(__name__, "read_checkpoints", stopped_seconds=gate.STOPPED_SECONDS)
READ_TIERS = sql.load(__name__, "read_tiers")
READ_OUTPUTS = sql.load(__name__, "read_outputs")
READ_JOBS = sql.load(__name__, "read_jobs")


@dataclass(frozen=True, slots=True)
class StageResult:
    """How one stage ended: ``done`` of ``total`` parts."""

    name: str
    ok: bool
    done: int = 0
    total: int = 0
    skipped: bool = False  # and so not ok

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        # Not asdict(), which copies each member.
        return {member.name: getattr(self, member.name) for member in fields(self)}


@dataclass(frozen=True, slots=True)
class ReusedCounts:
    """What a re-run reuses of earlier cycles."""

    items: int = 0
    deliveries: int = 0
    delivered: int = 0

    @classmethod
    def from_dict(cls, takeover: dict[str, Any]) -> "ReusedCounts":
        """Return the counts in a re-run's column ``takeover``."""
        return cls(
            items=int(takeover.get("items", 0)),
            deliveries=int(takeover.get("wanted", 0)),
            delivered=int(takeover.get("delivered", 0)),
        )

    def to_dict(self) -> dict[str, int]:
        """Return them as the column ``takeover`` stores them."""
        return {"items": self.items, "wanted": self.deliveries, "delivered": self.delivered}


NOTHING_REUSED = ReusedCounts()


def stage_results(
    *,
    tiers_ok: int,
    items: int,
    targets: int,
    jobs: int,
    delivered: int,
    reused: ReusedCounts = NOTHING_REUSED,
) -> list[StageResult]:
    """Return how the four stages of a finished cycle ended."""
    # `items` are this cycle's own, `targets` the endpoints that it names.
    all_items = items + reused.items
    # A target that isn't configured has no job, and so counts as not delivered.
    expected = items * targets + reused.deliveries
    done = delivered + reused.delivered
    return [
        StageResult("initiation", True, 1, 1),
        StageResult("transformations", tiers_ok == 3, tiers_ok, 3),
        StageResult(
            "normalization",
            all_items > 0 and all_items == tiers_ok,
            all_items,
            tiers_ok,
            skipped=tiers_ok == 0,
        ),
        StageResult(
            "dispatch",
            expected > 0 and done == expected,
            done,
            expected,
            skipped=jobs == 0 and reused.delivered == 0,
        ),
    ]


def final_status(results: list[StageResult]) -> Cycle:
    """Return the status that these results make."""
    ok = sum(result.ok for result in results)
    if ok == len(results):
        return Cycle.SUCCESS
    return Cycle.PARTIAL_SUCCESS if ok else Cycle.FAILED


@dataclass(slots=True)
class CycleProgress:
    """What is done of a claimed cycle; by default nothing."""

    cycle: ClaimedCycle
    began: float = field(default_factory=time.monotonic)
    checkpoints: set[str] = field(default_factory=set)
    initiation_id: UUID | None = None
    tiers: dict[int, TierResult] = field(default_factory=dict)
    items: int = 0
    jobs: JobProgress = field(default_factory=JobProgress)
    #: Attempts that a lost worker left open.
    abandoned: list[ClaimedJob] = field(default_factory=list)
    #: Open attempts whose job a late success has ended.
    abandoned_receipts: list[UUID] = field(default_factory=list)
    #: Open jobs that were added after the cycle had ended.
    added_after_end: set[UUID] = field(default_factory=set)

    @property
    def final(self) -> bool:
        """Whether the status is final. Then only deliveries are left."""
        # Requeued ones, and those that outlived the dispatch deadline.
        return Cycle(self.cycle.status) in CYCLE.final

    @property
    def targets(self) -> int:
        """How many endpoints it delivers to."""
        return len(enqueue.targets(self.cycle.context))

    @property
    def tiers_ended(self) -> bool:
        """Whether all three tiers succeeded or failed for good."""
        return len(self.tiers) == 3 and all(result.ok is not None for result in self.tiers.values())

    @property
    def wait(self) -> float:
        """Seconds until a tier is due; zero or less if one is."""
        if len(self.tiers) < 3:
            return 0.0  # none was tried yet
        return min((tier.wait for tier in self.tiers.values() if tier.ok is None), default=0.0)

    @property
    def tiers_ok(self) -> int:
        """How many tiers succeeded."""
        return sum(result.ok is True for result in self.tiers.values())

    @property
    def reused(self) -> ReusedCounts:
        """What a re-run reuses."""
        return ReusedCounts.from_dict(self.cycle.takeover or {})

    def has(self, checkpoint: Checkpoint) -> bool:
        """Tell whether ``checkpoint`` was reached."""
        return checkpoint in self.checkpoints

    def sources(self) -> list[TierResult]:
        """Return the successful tiers without an item, with their outputs."""
        normalize_reused = (self.cycle.takeover or {}).get("normalize", ())
        tiers = [
            result
            for result in self.tiers.values()
            if result.ok and (not result.reused or result.tier in normalize_reused)
        ]
        missing = [result.tier for result in tiers if result.payload is None]
        if missing:
            for tier, output, content_type in READ_OUTPUTS.rows(cycle=self.cycle.id, tiers=missing):
                self.tiers[tier].payload = Payload(bytes(output), content_type)
        return tiers

    def read_input(self) -> None:
        """Load the input unless it is loaded."""
        if self.cycle.input is None:
            (body,) = _row("SELECT input FROM orbit_cyclerun WHERE id = %s", self.cycle.id)
            self.cycle.input = bytes(body)

    def release_payloads(self) -> None:
        """Free the memory of input and outputs."""
        # Deliveries read them from the database, and may take long.
        self.cycle.input = None
        for result in self.tiers.values():
            result.payload = None


def load(cycle: ClaimedCycle, endpoints: EndpointCache) -> CycleProgress:
    """Return what is done of ``cycle``."""
    # Input and outputs may be large: they are read when they are needed.
    state = CycleProgress(cycle)
    ages = dict(READ_CHECKPOINTS.send(cycle=cycle.id, namespace=cycle.namespace))
    state.checkpoints = set(ages)
    if state.has(Checkpoint.INITIATION_COMPLETE):
        (state.initiation_id,) = _row(
            "SELECT id FROM orbit_initiation WHERE initiation_hash = %s", cycle.initiation_hash
        )
    for id_, tier, status, attempts, error, sha256, reused, wait in READ_TIERS.send(cycle=cycle.id):
        ok = {Tier.PENDING: None, Tier.SUCCESS: True, Tier.FAILED: False}[Tier(status)]
        state.tiers[tier] = TierResult(
            tier, id_, ok, None, attempts, error, wait or 0.0, sha256, reused
        )
    if state.has(Checkpoint.NORMALIZATION_COMPLETE):
        (state.items,) = _row(
            "SELECT item_count FROM orbit_normalizationbatch WHERE cycle_id = %s", cycle.id
        )
    _count_jobs(state, READ_JOBS.send(cycle=cycle.id), endpoints)
    if state.has(Checkpoint.DISPATCH_ENQUEUED) and not state.final:
        state.jobs.begin(ages[Checkpoint.DISPATCH_ENQUEUED])
    return state


def _row(query: str, key: UUID | str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query, [key])
        row: tuple[Any, ...] = cursor.fetchone()
        return row


def _count_jobs(
    state: CycleProgress, rows: list[tuple[Any, ...]], endpoints: EndpointCache
) -> None:
    jobs, now = state.jobs, time.monotonic()
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
        added_after_end,
    ) in rows:
        if status in {Job.PENDING, Job.SENDING}:
            # Requeues within a running cycle don't count for its outcome; a re-run's copies do.
            if requeued and not state.final:
                jobs.uncounted.add(job_id)
            jobs.open[job_id] = now + (wait or 0.0)
            if added_after_end:
                state.added_after_end.add(job_id)
            # One that a write of ours began hasn't been sent: the loop goes on with it.
            if receipt_id is not None and receipt_id not in state.cycle.begun:
                state.abandoned.append(
                    ClaimedJob(
                        state.cycle.id,
                        receipt_id,
                        job_id,
                        attempts,
                        spent,
                        max_retries,
                        delivery_id,
                        endpoint_key,
                        endpoints.get(snapshot_id),
                    )
                )
            continue
        if receipt_id is not None:
            state.abandoned_receipts.append(receipt_id)
        if not requeued:
            jobs.delivered += status == Job.DELIVERED
            jobs.dead += status == Job.DEAD
            jobs.cancelled += status == Job.CANCELLED
