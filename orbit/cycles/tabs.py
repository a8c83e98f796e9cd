"""What the tabs of a cycle's page show. Each reads only its own rows, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from orbit.models import (
    CycleCheckpoint,
    CycleRun,
    DeadLetterDispatch,
    DeliveryReceipt,
    DispatchJob,
    ExecutionRecord,
    Profile,
    RunProfile,
)

PAGE = 100
#: Records are counted up to this.
MOST_COUNTED = 1000
LEVELS = ("debug", "info", "warning", "error")
_LEASES = ("cycle_started", "cycle_resumed", "fenced", "stopped", "given_up", "cycle_cancelled")
_FAILED = frozenset(
    ("failed", "dead", "cancelled", "unknown", "unsent", "warning", "error", "halted")
)
_OPEN = frozenset(("pending", "sending", "running", "halted"))


class Show(StrEnum):
    """Which part of a cycle the tabs show."""

    ALL = "all"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter of all tabs."""

    show: Show = Show.ALL
    endpoint: str = ""

    def keeps(self, state: str, endpoint: str = "") -> bool:
        """Return whether something in ``state`` is shown; ``endpoint`` if it belongs to one."""
        if self.endpoint and self.endpoint != endpoint:
            return False
        return self.show == Show.ALL or state in (_FAILED if self.show == Show.FAILED else _OPEN)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """A page of a cycle's deliveries. ``more`` is the id to go on after."""

    jobs: Sequence[DispatchJob]
    #: By job: the last attempt, the dead letter.
    last: Mapping[UUID, DeliveryReceipt]
    letters: Mapping[UUID, DeadLetterDispatch]
    more: UUID | None


@dataclass(frozen=True, slots=True)
class Records:
    """A page of a cycle's log. ``more`` is the id to go on after."""

    rows: Sequence[ExecutionRecord]
    more: UUID | None


@dataclass(frozen=True, slots=True)
class Leases:
    """How far a cycle came, and who ran it."""

    checkpoints: Sequence[CycleCheckpoint]
    changes: Sequence[ExecutionRecord]


def deliveries(cycle: CycleRun, chosen: Filter, *, after: UUID | None = None) -> Deliveries:
    """Read a page of deliveries: three queries."""
    rows = (
        DispatchJob.objects.filter(cycle=cycle)
        .select_related("snapshot", "normalization_item__transformation")
        .defer(
            "snapshot__sealed",
            "normalization_item__payload",
            "normalization_item__transformation__output",
        )
        .order_by("id")
    )
    if chosen.endpoint:
        rows = rows.filter(endpoint_key=chosen.endpoint)
    if chosen.show != Show.ALL:
        rows = rows.filter(status__in=_FAILED if chosen.show == Show.FAILED else _OPEN)
    jobs, more = _page(rows, after)
    receipts = DeliveryReceipt.objects.filter(job__in=jobs).order_by("job_id", "-attempt")
    letters = DeadLetterDispatch.objects.filter(job__in=jobs)
    return Deliveries(
        jobs,
        {receipt.job_id: receipt for receipt in receipts.distinct("job_id")},
        {letter.job_id: letter for letter in letters},
        more,
    )


def records(
    cycle: CycleRun, chosen: Filter, *, level: str = "", after: UUID | None = None
) -> Records:
    """Read a page of the log: one query."""
    rows = _log(cycle)
    if level:
        rows = rows.filter(level=level)
    if chosen.show == Show.FAILED:
        rows = rows.filter(level__in=["warning", "error"])
    if chosen.endpoint:
        rows = rows.filter(data__endpoint_key=chosen.endpoint)
    return Records(*_page(rows, after))


def count_records(cycle: CycleRun) -> int:
    """Return how many records the cycle has, ``MOST_COUNTED`` at most."""
    return _log(cycle)[:MOST_COUNTED].count()


def leases(cycle: CycleRun) -> Leases:
    """Read checkpoints and changes of the worker: two queries."""
    checkpoints = CycleCheckpoint.objects.filter(cycle_id=cycle.pk).order_by("created_at")
    return Leases(list(checkpoints), list(_log(cycle).filter(event__in=_LEASES)[:PAGE]))


def revisions(cycle: CycleRun) -> dict[str, int]:
    """Return the keys of the cycle's profile and run profile that are still there, by kind."""
    keys = {
        "runprofile": RunProfile.objects.filter(run_profile_id=cycle.run_profile_id),
        "profile": Profile.objects.filter(profile_id=cycle.profile_id),
    }
    by_kind = {kind: rows.values_list("pk", flat=True).first() for kind, rows in keys.items()}
    return {kind: pk for kind, pk in by_kind.items() if pk is not None}


def _log(cycle: CycleRun) -> "QuerySet[ExecutionRecord]":
    return ExecutionRecord.objects.filter(partition_key=cycle.pk).order_by(F("partition_key"), "id")


def _page(rows: "QuerySet[Any]", after: UUID | None) -> tuple[list[Any], UUID | None]:
    page = list((rows if after is None else rows.filter(id__gt=after))[: PAGE + 1])
    return page[:PAGE], page[PAGE - 1].pk if len(page) > PAGE else None
