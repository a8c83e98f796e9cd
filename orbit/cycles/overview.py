"""Say in one sentence what a cycle did, and what it waits for.

REST, the console and the list of active cycles take it from here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from orbit.cycles import delivery_counts, waiting
from orbit.cycles.delivery_counts import DeliveryCounts
from orbit.cycles.excerpts import size
from orbit.cycles.waiting import Wait
from orbit.models import (
    CycleRun,
    DeadLetterDispatch,
    EndpointState,
    ExecutionRecord,
    Transformation,
)
from orbit.states import ACTIVE, CYCLE, Cycle, Letter, Tier

#: At most so many re-runs are read.
MOST_RERUNS = 200
_MOST_ENDPOINTS = 5
# Events that say why nothing was delivered.
_SKIPS = ("no_items", "no_endpoint", "endpoint_unknown")
_OPENING = {
    Cycle.QUEUED: "Queued",
    Cycle.PENDING: "Pending",
    Cycle.RUNNING: "Running",
    Cycle.SUCCESS: "Success",
    Cycle.PARTIAL_SUCCESS: "Partial success",
    Cycle.FAILED: "Failed",
    Cycle.CANCELLED: "Cancelled",
}


_WAITING = (Cycle.QUEUED, *ACTIVE)


@dataclass(frozen=True, slots=True)
class DeadAt:
    """Dead letters of a cycle at one endpoint with one answer."""

    endpoint_key: str
    answer: str
    count: int
    #: How many of them can be requeued.
    open: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """What became of a cycle."""

    cycle: CycleRun
    tiers: Sequence[Transformation] = ()
    deliveries: DeliveryCounts = field(default_factory=DeliveryCounts)
    dead: Sequence[DeadAt] = ()
    #: Since when the breaker of an endpoint is open.
    breakers: Mapping[str, datetime] = field(default_factory=dict)
    #: Why there are no deliveries.
    skipped: str = ""
    reruns: Sequence[CycleRun] = ()
    #: None of a cycle that is done.
    wait: Wait | None = None

    @property
    def since(self) -> datetime:
        """When it started or was accepted."""
        return self.cycle.started_at or self.cycle.created_at

    @property
    def has_ended(self) -> bool:
        """Whether the cycle is in a final status."""
        return Cycle(self.cycle.status) in CYCLE.final

    @property
    def open_letters(self) -> int:
        """How many dead letters can be requeued."""
        return sum(dead.open for dead in self.dead)

    @property
    def failed_tiers(self) -> Sequence[Transformation]:
        """The tiers that failed."""
        return [tier for tier in self.tiers if tier.status == Tier.FAILED]

    @property
    def sentence(self) -> str:
        """The verdict."""
        cycle, status = self.cycle, Cycle(self.cycle.status)
        parts = [*_tiers(self), *_deliveries(self), *_history(self)]
        if status == Cycle.CANCELLED and cycle.reason:
            # The reason says by whom, and opens the sentence.
            opening = cycle.reason[:1].upper() + cycle.reason[1:].rstrip(".")
            return "; ".join([opening, *parts]) + "."
        if status == Cycle.FAILED and cycle.reason:
            parts.insert(0, cycle.reason.rstrip("."))
        if status in _WAITING and self.wait is not None and self.wait.text:
            parts.append(self.wait.text)
        text = f"{_OPENING[status]}: {'; '.join(parts)}." if parts else f"{_OPENING[status]}."
        return f"{text} Nothing is tried again by itself." if self._is_given_up else text

    @property
    def _is_given_up(self) -> bool:
        failed = self.failed_tiers or self.dead
        return bool(
            failed and self.has_ended and self.cycle.next_due_at is None and not self.reruns
        )


def read(cycle: CycleRun, *, now: datetime) -> Overview:
    """Read what became of ``cycle``: at most nine queries."""
    deliveries = delivery_counts.of([cycle.pk])[cycle.pk]
    dead = _dead(cycle) if deliveries.dead else []
    reruns = CycleRun.objects.filter(rerun_of=cycle).only("id", "status", "rerun_of_id")
    return Overview(
        cycle=cycle,
        tiers=list(
            Transformation.objects.filter(cycle=cycle)
            .defer("output")
            .annotate(size=size("output"))
            .order_by("tier")
        ),
        deliveries=deliveries,
        dead=dead,
        breakers=_breakers(dead) if dead else {},
        skipped="" if deliveries.total else _skipped(cycle),
        reruns=list(reruns.order_by("id")[:MOST_RERUNS]),
        wait=waiting.of([cycle], now=now).get(cycle.pk),
    )


def _dead(cycle: CycleRun) -> list[DeadAt]:
    open_, total = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    letters = DeadLetterDispatch.objects.filter(
        cycle=cycle, status__in=[str(Letter.OPEN), str(Letter.DISMISSED)]
    )
    rows = letters.values_list("endpoint_key", "status_code", "reason", "status").annotate(
        number=Count("id")
    )
    for key, status_code, reason, status, number in rows.order_by("endpoint_key"):
        answer = (key, str(status_code or reason))
        total[answer] += number
        open_[answer] += number if status == Letter.OPEN else 0
    return [DeadAt(*answer, number, open_[answer]) for answer, number in total.items()]


def _breakers(dead: Sequence[DeadAt]) -> dict[str, datetime]:
    states = EndpointState.objects.filter(
        endpoint_key__in={part.endpoint_key for part in dead}, opened_at__isnull=False
    )
    return {state.endpoint_key: state.opened_at for state in states if state.opened_at}


def _skipped(cycle: CycleRun) -> str:
    records = ExecutionRecord.objects.filter(partition_key=cycle.pk, event__in=_SKIPS)
    message = (
        records.exclude(message="")
        .order_by("partition_key", "id")
        .values_list("message", flat=True)
    ).first()
    return (message or "").rstrip(".")


def _history(overview: Overview) -> list[str]:
    parts, cycle = [], overview.cycle
    if cycle.rerun_of_id is not None:
        reused = cycle.takeover or {}
        tiers = _times(len(reused.get("tiers", ())), "tier", "tiers")
        deliveries = _times(reused.get("delivered", 0), "delivery", "deliveries")
        parts.append(
            f"runs {cycle.rerun_of_id} again, from which {tiers} and {deliveries} are taken over"
        )
    if overview.reruns:
        last = overview.reruns[-1]
        times = _times(len(overview.reruns), "time", "times")
        status = Cycle(last.status).replace("_", " ")
        parts.append(f"run again {times}, last as {last.pk} ({status})")
    return parts


def _tiers(overview: Overview) -> list[str]:
    done = [tier for tier in overview.tiers if tier.status == Tier.SUCCESS]
    parts = [
        f"tier {tier.tier} failed after {_times(tier.attempts, 'try', 'tries')} "
        f"({_short(tier.error) or 'no reason given'})"
        for tier in overview.failed_tiers
    ]
    if done and not parts:
        parts.append(f"{len(done)} of 3 tiers done" if len(done) < 3 else "3 tiers")
    return parts


def _deliveries(overview: Overview) -> list[str]:
    deliveries = overview.deliveries
    if not deliveries.total:
        return [overview.skipped] if overview.skipped else []
    if deliveries.delivered == deliveries.total:
        return [_times(deliveries.total, "delivery", "deliveries")]
    parts = [f"{deliveries.delivered} of {deliveries.total} deliveries done"]
    if deliveries.dead:
        parts.append(f"{deliveries.dead} dead at {_endpoints(overview)}")
    if deliveries.cancelled:
        parts.append(f"{deliveries.cancelled} cancelled")
    if deliveries.open and overview.cycle.finished_at is not None:
        parts.append(f"{deliveries.open} still open")
    return parts


def _endpoints(overview: Overview) -> str:
    # Each endpoint with its most frequent last answer.
    answers: dict[str, DeadAt] = {}
    for dead in overview.dead:
        if dead.endpoint_key not in answers or dead.count > answers[dead.endpoint_key].count:
            answers[dead.endpoint_key] = dead
    texts = []
    for key, dead in sorted(answers.items()):
        opened_at = overview.breakers.get(key)
        breaker = f"; breaker open since {opened_at:%H:%M} UTC" if opened_at else ""
        texts.append(f"{key} ({dead.answer}{breaker})")
    more = len(texts) - _MOST_ENDPOINTS
    if more > 0:
        texts[_MOST_ENDPOINTS:] = [f"{more} more"]
    return ", ".join(texts) or "an endpoint"


def _times(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _short(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return (line if len(line) <= 160 else line[:157] + "...").rstrip(".")
