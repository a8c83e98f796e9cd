"""What a list shows of its cycles beside their own columns: as many queries for 50 as for one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import CharField, Exists, OuterRef, QuerySet
from django.db.models.functions import Cast

from governance.access.actors import Actor
from orbit import seen
from orbit.cycles import delivery_counts, recent, waiting
from orbit.cycles.delivery_counts import DeliveryCounts
from orbit.cycles.waiting import Wait
from orbit.models import CycleRun, DeadLetterDispatch, SeenMark, Transformation
from orbit.seen import Seen
from orbit.states import Cycle, Letter, SeenKind

_TIERS = (1, 2, 3)
_MOST_WITH_LETTERS = 10_000
_MOST_BAD = 1_000
#: A tier that hasn't begun.
NOT_YET = "none"


@dataclass(frozen=True, slots=True)
class Line:
    """A cycle in a list."""

    #: The states of the three tiers.
    tiers: Sequence[str]
    deliveries: DeliveryCounts
    #: How long it took or runs already, and the median of its run profile; in seconds.
    seconds: float | None
    usual: float | None
    seen: Seen | None
    wait: Wait | None

    @property
    def most(self) -> float:
        """The end of a bar that shows the duration against the median."""
        return max(self.seconds or 0, 2 * (self.usual or self.seconds or 0.001))

    @property
    def is_slow(self) -> bool:
        """Whether it took more than twice the usual time."""
        return bool(self.usual and self.seconds and self.seconds > 2 * self.usual)


def lines(cycles: Sequence[CycleRun], *, now: datetime) -> dict[UUID, Line]:
    """Return the line of each cycle: at most ten queries."""
    if not cycles:
        return {}
    ids = [cycle.pk for cycle in cycles]
    tiers: dict[UUID, dict[int, str]] = defaultdict(dict)
    rows = Transformation.objects.filter(cycle__in=ids).values_list("cycle_id", "tier", "status")
    for cycle_id, tier, status in rows:
        tiers[cycle_id][tier] = status
    deliveries = delivery_counts.of(ids)
    usual = recent.usual_durations(cycle.run_profile_id for cycle in cycles)
    marks = seen.of(SeenKind.CYCLE, [str(cycle_id) for cycle_id in ids])
    waits = waiting.of([cycle for cycle in cycles if cycle.finished_at is None], now=now)
    return {
        cycle.pk: Line(
            tiers=[tiers[cycle.pk].get(tier, NOT_YET) for tier in _TIERS],
            deliveries=deliveries[cycle.pk],
            seconds=duration(cycle, now=now),
            usual=usual.get(cycle.run_profile_id or ""),
            seen=marks.get(str(cycle.pk)),
            wait=waits.get(cycle.pk),
        )
        for cycle in cycles
    }


def mark_seen(cycles: QuerySet[CycleRun], actor: Actor) -> list[UUID]:
    """Say that ``actor`` looks after these, at most ``seen.MAX_KEYS``; return their ids."""
    chosen = dict(cycles.values_list("pk", "namespace_id")[: seen.MAX_KEYS])
    namespaces = {str(name) for name in chosen.values()}
    only = namespaces.pop() if len(namespaces) == 1 else None
    seen.mark(SeenKind.CYCLE, map(str, chosen), actor, namespace=only)
    return list(chosen)


def with_dead_letters(cycles: QuerySet[CycleRun]) -> QuerySet[CycleRun]:
    """Return those with open dead letters, of the 10,000 newest."""
    letters = DeadLetterDispatch.objects.filter(status=str(Letter.OPEN)).order_by("-cycle_id")
    return cycles.filter(pk__in=letters.values("cycle_id").distinct()[:_MOST_WITH_LETTERS])


def not_seen(cycles: QuerySet[CycleRun]) -> QuerySet[CycleRun]:
    """Return the failed and partial that no user looks after, of the newest 1,000 of each."""
    failed, partial = (
        CycleRun.objects.filter(status=status).order_by("-id").values("id")[:_MOST_BAD]
        for status in (Cycle.FAILED, Cycle.PARTIAL_SUCCESS)
    )
    marks = SeenMark.objects.filter(kind=SeenKind.CYCLE, key=Cast(OuterRef("pk"), CharField()))
    # One set, not two conditions: with those, all cycles of a namespace would be compared.
    bad = failed.union(partial, all=True)
    return cycles.filter(pk__in=bad).exclude(Exists(marks))


def duration(cycle: CycleRun, *, now: datetime) -> float | None:
    """Return the seconds that a cycle took, or runs already; None if it hasn't started."""
    if cycle.started_at is None:
        return None
    return max(0.0, ((cycle.finished_at or now) - cycle.started_at).total_seconds())
