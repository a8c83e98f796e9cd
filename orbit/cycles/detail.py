"""Read cycles: lists, and one with all its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from governance.access.actors import Actor
from governance.kernel import clock
from governance.kernel.identifiers import uuid7_floor
from orbit.cycles import overview
from orbit.cycles.excerpts import first_bytes, size
from orbit.cycles.overview import Overview
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

#: At most so many rows of each kind.
LIMIT = 200
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
    "lease_expires_at",
    "resumes",
    "reason",
    "rerun_of_id",
)
#: The columns of the list's download.
EXPORTED = (
    "id",
    "status",
    "namespace",
    "run_profile_id",
    "profile_id",
    "trigger",
    "triggered_by",
    "reason",
    "created_at",
    "started_at",
    "finished_at",
    "resumes",
    "rerun_of",
)
# An id carries the clock of the process that made it, created_at the database's.
_CLOCK_SKEW = timedelta(minutes=10)
# Ids hold times between these.
_EARLIEST = datetime.fromisoformat("1970-01-02T00:00:00+00:00")
_LATEST = datetime.fromisoformat("9000-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class PayloadExcerpt:
    """A payload's size and first bytes."""

    content_type: str
    sha256: str
    size: int
    excerpt: bytes


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
    overview: Overview
    #: The kinds of rows of which only the first ``LIMIT`` were read.
    cut: frozenset[str] = field(default_factory=frozenset)


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
    return created(cycles, first=created_from, before=created_to).order_by("-id")


def checkpoints(actor: Actor) -> QuerySet[CycleCheckpoint]:
    """Return the checkpoints of the cycles that ``actor`` sees, the newest first."""
    # They have no relation to their cycle.
    rows = CycleCheckpoint.objects.order_by("-cycle_id", "-stage")
    if actor.namespaces is None:
        return rows
    return rows.filter(Exists(CycleRun.objects.filter(actor.filter(), pk=OuterRef("cycle_id"))))


def created(
    cycles: QuerySet[CycleRun], *, first: datetime | None = None, before: datetime | None = None
) -> QuerySet[CycleRun]:
    """Return those that were created from ``first`` on, and before ``before``."""
    # Each combination of filters has an index. It is by id, so the time is bounded by the id too.
    if first is not None:
        lowest = uuid7_floor(max(first, _EARLIEST) - _CLOCK_SKEW)
        cycles = cycles.filter(created_at__gte=first, id__gte=lowest)
    if before is not None:
        highest = uuid7_floor(min(before, _LATEST) + _CLOCK_SKEW)
        cycles = cycles.filter(created_at__lt=before, id__lt=highest)
    return cycles


def ensure_visible(cycle_id: UUID, *, actor: Actor) -> None:
    """Raise CycleUnknown unless ``actor`` may see the cycle."""
    if not CycleRun.objects.filter(actor.filter(), pk=cycle_id).exists():
        raise CycleUnknown(pruned.unknown("cycle", cycle_id))


def cycle(cycle_id: UUID, *, actor: Actor) -> CycleRun:
    """Return the cycle with an excerpt of its input. Raises CycleUnknown."""
    row: CycleRun | None = (
        CycleRun.objects.filter(actor.filter(), pk=cycle_id)
        .defer("input")
        .annotate(size=size("input"), excerpt=first_bytes("input"))
        .first()
    )
    if row is None:
        raise CycleUnknown(pruned.unknown("cycle", cycle_id))
    return row


def input_of(row: Any) -> PayloadExcerpt:
    """Return the input of what ``cycle`` returned."""
    return PayloadExcerpt(
        row.input_content_type, row.input_sha256, row.size, bytes(row.excerpt or b"")
    )


def read(cycle_id: UUID, *, actor: Actor) -> CycleDetail:
    """Read the cycle with its rows: at most 20 queries. Raises CycleUnknown."""
    row = cycle(cycle_id, actor=actor)
    cut: set[str] = set()
    tiers = list(
        Transformation.objects.filter(cycle=row)
        .defer("output")
        .annotate(size=size("output"), excerpt=first_bytes("output"))
        .order_by("tier")
    )
    batch = NormalizationBatch.objects.filter(cycle=row).first()
    letters = DeadLetterDispatch.objects.filter(cycle=row).order_by("id")
    dead_letters = _first(letters, "dead_letters", cut)
    jobs = _read_jobs(row, dead_letters, cut)
    records = ExecutionRecord.objects.filter(partition_key=row.pk).order_by("partition_key", "id")
    return CycleDetail(
        cycle=row,
        input=input_of(row),
        stages=row.stages or [],
        tiers=tiers,
        batch=batch,
        items=[] if batch is None else _read_items(tiers),
        jobs=jobs,
        receipts=_read_receipts(jobs, cut),
        dead_letters=dead_letters,
        records=_first(records, "records", cut),
        checkpoints=list(CycleCheckpoint.objects.filter(cycle_id=row.pk).order_by("created_at")),
        overview=overview.read(row, now=clock.now()),
        cut=frozenset(cut),
    )


def _read_items(tiers: Sequence[Transformation]) -> list[NormalizationItem]:
    return list(
        NormalizationItem.objects.filter(transformation__in=tiers)
        .defer("payload")
        .annotate(size=size("payload"), excerpt=first_bytes("payload"))
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
