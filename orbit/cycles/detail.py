"""Read cycles: lists, and one with all its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import BinaryField, F, Q, QuerySet
from django.db.models.functions import Length, Substr

from governance.access.actors import Actor
from governance.kernel import sql
from governance.kernel.identifiers import uuid7_floor
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
from orbit.records import pruned
from orbit.states import Cycle, Job

#: At most so many rows of each kind, and bytes of a payload.
LIMIT = 200
EXCERPT = 2048
#: What a list shows of a cycle. The input may be large and is not read.
LIST_FIELDS = (
    "id",
    "namespace_id",
    "status",
    "trigger",
    "triggered_by",
    "profile_id",
    "run_profile_id",
    "created_at",
    "started_at",
    "finished_at",
    "next_due_at",
    "reason",
    "rerun_of_id",
)
# An id carries the clock of the process that made it, created_at the database's.
_CLOCK_SKEW = timedelta(minutes=10)
# Ids hold times between these.
_EARLIEST = datetime.fromisoformat("1970-01-02T00:00:00+00:00")
_LATEST = datetime.fromisoformat("9000-01-01T00:00:00+00:00")

COUNT_DELIVERIES = sql.load(__name__, "count_deliveries")


@dataclass(frozen=True, slots=True)
class PayloadExcerpt:
    """A payload's size and first bytes."""

    content_type: str
    sha256: str
    size: int
    excerpt: bytes


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Deliveries by outcome. A requeued copy counts for its original."""

    total: int = 0
    delivered: int = 0
    dead: int = 0
    cancelled: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class CycleDetail:
    """A cycle with all its rows, oldest first."""

    cycle: CycleRun
    input: PayloadExcerpt
    #: How each stage ended, as ``StageResult.to_dict``; empty until the cycle has finished.
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
    reruns: Sequence[CycleRun] = ()
    #: The kinds of rows of which only the first ``LIMIT`` were read.
    cut: frozenset[str] = field(default_factory=frozenset)
    #: If a halt or a pause holds the cycle: by whom and why.
    stopped: str = ""

    @property
    def since(self) -> datetime:
        """When it started or was accepted."""
        return self.cycle.started_at or self.cycle.created_at


def matching(
    actor: Actor,
    *,
    namespace: str | None = None,
    status: str | None = None,
    run_profile_id: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,  # exclusive
) -> QuerySet[CycleRun]:
    """Return matching cycles that ``actor`` may see, newest first."""
    cycles = CycleRun.objects.filter(actor.filter()).only(*LIST_FIELDS)
    for name, value in (
        ("namespace", namespace),
        ("status", status),
        ("run_profile_id", run_profile_id),
    ):
        if value is not None:
            cycles = cycles.filter(**{name: value})
    # Each combination of filters has an index. It is by id, so the time is bounded by the id too.
    if created_from is not None:
        first = uuid7_floor(max(created_from, _EARLIEST) - _CLOCK_SKEW)
        cycles = cycles.filter(created_at__gte=created_from, id__gte=first)
    if created_to is not None:
        last = uuid7_floor(min(created_to, _LATEST) + _CLOCK_SKEW)
        cycles = cycles.filter(created_at__lt=created_to, id__lt=last)
    return cycles.order_by("-id")


def ensure_visible(cycle_id: UUID, *, actor: Actor) -> None:
    """Raise CycleUnknown unless ``actor`` may see the cycle."""
    if not CycleRun.objects.filter(actor.filter(), pk=cycle_id).exists():
        raise CycleUnknown(pruned.unknown("cycle", cycle_id))


def read(cycle_id: UUID, *, actor: Actor) -> CycleDetail:
    """Read the cycle with its rows: at most 15 queries. Raises CycleUnknown."""
    cycle = (
        CycleRun.objects.filter(actor.filter(), pk=cycle_id)
        .defer("input")
        .annotate(size=Length("input"), excerpt=_excerpt("input"))
        .first()
    )
    if cycle is None:
        raise CycleUnknown(pruned.unknown("cycle", cycle_id))
    cut: set[str] = set()
    tiers = list(
        Transformation.objects.filter(cycle=cycle)
        .defer("output")
        .annotate(size=Length("output"), excerpt=_excerpt("output"))
        .order_by("tier")
    )
    batch = NormalizationBatch.objects.filter(cycle=cycle).first()
    letters = DeadLetterDispatch.objects.filter(cycle=cycle).order_by("id")
    dead_letters = _first(letters, "dead_letters", cut)
    jobs = _read_jobs(cycle, dead_letters, cut)
    records = ExecutionRecord.objects.filter(partition_key=cycle.pk).order_by("partition_key", "id")
    reruns = CycleRun.objects.filter(rerun_of=cycle).only("id", "status", "rerun_of_id")
    return CycleDetail(
        cycle=cycle,
        input=PayloadExcerpt(
            cycle.input_content_type, cycle.input_sha256, cycle.size, _bytes(cycle.excerpt)
        ),
        stages=cycle.stages or [],
        tiers=tiers,
        batch=batch,
        items=[] if batch is None else _read_items(tiers),
        jobs=jobs,
        receipts=_read_receipts(jobs, cut),
        dead_letters=dead_letters,
        records=_first(records, "records", cut),
        checkpoints=list(CycleCheckpoint.objects.filter(cycle_id=cycle.pk).order_by("created_at")),
        deliveries=_count_deliveries(cycle.pk),
        waits_for=namespace_queue.waits_for(cycle) if cycle.status == Cycle.QUEUED else "",
        reruns=_first(reruns.order_by("id"), "reruns", cut),
        cut=frozenset(cut),
        stopped=_stopped(cycle),
    )


def _read_items(tiers: Sequence[Transformation]) -> list[NormalizationItem]:
    return list(
        NormalizationItem.objects.filter(transformation__in=tiers)
        .defer("payload")
        .annotate(size=Length("payload"), excerpt=_excerpt("payload"))
        .select_related("transformation")
        .order_by("transformation__tier")
        .defer("transformation__output", "payload")
    )


def _read_jobs(
    cycle: CycleRun, letters: Sequence[DeadLetterDispatch], cut: set[str]
) -> list[DispatchJob]:
    # Two queries, each from an index: the cycle's jobs, and copies that belong to re-runs.
    jobs: list[DispatchJob] = _first(_jobs(Q(cycle=cycle)), "jobs", cut)
    copies = {letter.requeued_job_id for letter in letters if letter.requeued_job_id}
    copies -= {job.pk for job in jobs}
    return jobs + _first(_jobs(Q(pk__in=copies)), "jobs", cut) if copies else jobs


def _read_receipts(jobs: Sequence[DispatchJob], cut: set[str]) -> list[DeliveryReceipt]:
    receipts: list[DeliveryReceipt] = _first(
        DeliveryReceipt.objects.filter(job__in=jobs).order_by("id"), "receipts", cut
    )
    by_id = {job.pk: job for job in jobs}
    for receipt in receipts:
        receipt.job = by_id[receipt.job_id]
    return receipts


def _stopped(cycle: CycleRun) -> str:
    if cycle.next_due_at is None:
        return ""
    refusal = gate.refusals([cycle.namespace_id]).get(cycle.namespace_id)
    # A drain lets running cycles finish.
    return "" if refusal is None or isinstance(refusal, gate.NamespaceDraining) else refusal.detail


def _excerpt(column: str) -> Substr:
    return Substr(F(column), 1, EXCERPT, output_field=BinaryField())


def _jobs(which: Q) -> "QuerySet[DispatchJob]":
    return (
        DispatchJob.objects.filter(which)
        .select_related("snapshot", "normalization_item")
        .defer("snapshot__sealed", "normalization_item__payload")
        .order_by("id")
    )


def _first(rows: "QuerySet[Any]", kind: str, cut: set[str]) -> list[Any]:
    first = list(rows[: LIMIT + 1])  # one more, to know whether there are more
    if len(first) > LIMIT:
        cut.add(kind)
    return first[:LIMIT]


def _count_deliveries(cycle_id: UUID) -> DeliveryCounts:
    counts: dict[str, int] = {}
    for _, _, status, number in COUNT_DELIVERIES.rows(cycles=[cycle_id]):
        counts[status] = counts.get(status, 0) + number
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
