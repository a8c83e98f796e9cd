"""One cycle with everything that hangs on it: what the API answers and the console's page shows.

Bounded: of each kind of row at most ``LIMIT``, and of no payload more than its first bytes. Twelve queries, however many rows there are; three more
where the cycle is queued.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import BinaryField, F, Q, QuerySet
from django.db.models.functions import Length, Substr

from governance.access.actors import Actor
from governance.namespaces import gate
from orbit.cycles import namespace_queue
from orbit.errors import CycleUnknown
from orbit.models import (
    CycleCheckpoint,
    CycleRun,
    DeadLetterDispatch,
    DeliveryReceipt,
    DispatchJob,
    ExecutionRecord,
    NormalizationBatch,
    NormalizationItem,
    Transformation,
)
from orbit.states import Cycle, Job

LIMIT = 200
EXCERPT = 2048

#: What became of each delivery that the cycle made, its copies taken together, those of later re-runs too: delivered by any of them, else where
#: the newest stands. A re-run's own begin with it.
TALLY = """WITH RECURSIVE chain AS (
    SELECT j.id, j.status, j.id AS root FROM orbit_dispatchjob j LEFT JOIN orbit_dispatchjob o ON o.id = j.requeue_of_id
    WHERE j.cycle_id = %s AND o.cycle_id IS DISTINCT FROM j.cycle_id
    UNION ALL SELECT j.id, j.status, chain.root FROM orbit_dispatchjob j JOIN chain ON j.requeue_of_id = chain.id)
SELECT ended, count(*) FROM (
    SELECT CASE WHEN bool_or(status = 'delivered') THEN 'delivered' ELSE (array_agg(status ORDER BY id DESC))[1] END AS ended FROM chain GROUP BY root
) AS deliveries GROUP BY ended"""


@dataclass(frozen=True, slots=True)
class PayloadExcerpt:
    """A payload as far as it is shown: the first bytes of ``size``."""

    content_type: str
    sha256: str
    size: int
    excerpt: bytes


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """How many deliveries the cycle made, and what became of them; a requeued copy counts for its original."""

    total: int = 0
    delivered: int = 0
    dead: int = 0
    cancelled: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class CycleDetail:
    """A cycle with its stages, tiers, items, jobs, attempts, dead letters, records and checkpoints, in the order in which they came."""

    cycle: CycleRun
    input: PayloadExcerpt
    #: How each stage ended, as ``outcome.Stage.data``; empty until the cycle has.
    stages: list[dict[str, Any]]
    tiers: Sequence[Transformation]
    batch: NormalizationBatch | None
    items: Sequence[NormalizationItem]
    jobs: list[DispatchJob]
    receipts: list[DeliveryReceipt]
    dead_letters: list[DeadLetterDispatch]
    records: list[ExecutionRecord]
    checkpoints: list[CycleCheckpoint]
    deliveries: DeliveryCounts
    #: What a queued cycle waits for, as the end of a sentence.
    waits_for: str = ""
    #: The cycles that run it again, each with its status.
    reruns: Sequence[CycleRun] = ()
    #: The kinds of which there is more than is shown.
    cut: frozenset[str] = field(default_factory=frozenset)
    #: What stops it while something of it is still to be done: by whom and why.
    stopped: str = ""

    @property
    def since(self) -> datetime:
        """When it started, or was accepted."""
        return self.cycle.started_at or self.cycle.created_at


def read(cycle_id: UUID, *, actor: Actor) -> CycleDetail:
    """Read the cycle; raises CycleUnknown where there is none, or none that ``actor`` sees."""
    cycle = (
        CycleRun.objects.filter(actor.filter(), pk=cycle_id)
        .defer("input")
        .annotate(size=Length("input"), excerpt=_excerpt("input"))
        .first()
    )
    if cycle is None:
        raise CycleUnknown(f"There is no cycle {cycle_id}.")
    tiers = list(
        Transformation.objects.filter(cycle=cycle)
        .defer("output")
        .annotate(size=Length("output"), excerpt=_excerpt("output"))
        .order_by("tier")
    )
    batch = NormalizationBatch.objects.filter(cycle=cycle).first()
    items = [] if batch is None else list(
        NormalizationItem.objects.filter(transformation__in=tiers).defer("payload").annotate(size=Length("payload"), excerpt=_excerpt("payload"))
        .select_related("transformation").order_by("transformation__tier").defer("transformation__output", "payload")
    )  # fmt: skip
    cut: set[str] = set()
    letters = _first(
        DeadLetterDispatch.objects.filter(cycle=cycle).order_by("id"), "dead_letters", cut
    )
    # By what the indexes hold: the cycle's jobs, then the copies that requeues and re-runs made of its dead ones and that aren't among them.
    jobs = _first(_jobs(Q(cycle=cycle)).order_by("id"), "jobs", cut)
    copies = {letter.requeued_job_id for letter in letters if letter.requeued_job_id} - {
        job.pk for job in jobs
    }
    jobs += _first(_jobs(Q(pk__in=copies)).order_by("id"), "jobs", cut) if copies else []
    receipts = _first(DeliveryReceipt.objects.filter(job__in=jobs).order_by("id"), "receipts", cut)
    by_id = {job.pk: job for job in jobs}
    for receipt in receipts:
        receipt.job = by_id[receipt.job_id]
    records = _first(
        ExecutionRecord.objects.filter(partition_key=cycle.pk).order_by("partition_key", "id"),
        "records",
        cut,
    )
    return CycleDetail(
        cycle=cycle,
        input=PayloadExcerpt(
            cycle.input_content_type, cycle.input_sha256, cycle.size, _bytes(cycle.excerpt)
        ),
        stages=cycle.stages or [],
        tiers=tiers,
        batch=batch,
        items=items,
        jobs=jobs,
        receipts=receipts,
        dead_letters=letters,
        records=records,
        checkpoints=list(CycleCheckpoint.objects.filter(cycle_id=cycle.pk).order_by("created_at")),
        deliveries=_deliveries(cycle.pk),
        waits_for=namespace_queue.waits_for(cycle) if cycle.status == Cycle.QUEUED else "",
        reruns=_first(
            CycleRun.objects.filter(rerun_of=cycle)
            .only("id", "status", "rerun_of_id")
            .order_by("id"),
            "reruns",
            cut,
        ),
        cut=frozenset(cut),
        stopped=_stopped(cycle),
    )


def ensure_visible(cycle_id: UUID, *, actor: Actor) -> None:
    """Raise CycleUnknown where there is no such cycle, or none that ``actor`` sees."""
    if not CycleRun.objects.filter(actor.filter(), pk=cycle_id).exists():
        raise CycleUnknown(f"There is no cycle {cycle_id}.")


def _stopped(cycle: CycleRun) -> str:
    if cycle.next_due_at is None:
        return ""
    refusal = gate.stops([cycle.namespace_id]).get(cycle.namespace_id)
    # A drain lets go on what runs.
    return "" if refusal is None or isinstance(refusal, gate.NamespaceDraining) else refusal.detail


def _excerpt(column: str) -> Substr:
    return Substr(F(column), 1, EXCERPT, output_field=BinaryField())


def _jobs(which: Q) -> "QuerySet[DispatchJob]":
    return (
        DispatchJob.objects.filter(which)
        .select_related("snapshot", "normalization_item")
        .defer("snapshot__sealed", "normalization_item__payload")
    )


def _first(rows: "QuerySet[Any]", kind: str, cut: set[str]) -> list[Any]:
    found = list(rows[: LIMIT + 1])
    if len(found) > LIMIT:
        cut.add(kind)
    return found[:LIMIT]


def _deliveries(cycle_id: UUID) -> DeliveryCounts:
    with connection.cursor() as cursor:
        cursor.execute(TALLY, [cycle_id])
        counts: dict[str, int] = dict(cursor.fetchall())
    delivered, dead, cancelled = (
        counts.get(str(status), 0) for status in (Job.DELIVERED, Job.DEAD, Job.CANCELLED)
    )
    total = sum(counts.values())
    return DeliveryCounts(
        total=total,
        delivered=delivered,
        dead=dead,
        cancelled=cancelled,
        open=total - delivered - dead - cancelled,
    )


def _bytes(column: Any) -> bytes:
    return bytes(column or b"")
