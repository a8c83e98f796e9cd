"""Where a cycle's deliveries came from: initiation, transformations, items, jobs, attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Max
from django.db.models.functions import Length

from governance import display
from governance.kernel.identifiers import uuid7_floor
from orbit.cycles.overview import Overview
from orbit.cycles.tabs import Filter
from orbit.cycles.timeline import ATTEMPTS, MOST_ANSWERS
from orbit.models import (
    CycleRun,
    DispatchJob,
    Initiation,
    NormalizationItem,
    Transformation,
)
from orbit.states import Tier

_MOST_NODES = 20
# The first transformations of an initiation are made in the same statement.
_SKEW, _WINDOW = timedelta(seconds=10), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Node:
    """One thing, or some that are alike. ``table`` and ``key`` say what it links to."""

    title: str
    note: str
    state: str
    table: str = ""
    key: str = ""
    #: Its deliveries' endpoint.
    endpoint: str = ""

    @property
    def look(self) -> str:
        """The CSS class of its state."""
        return "off" if self.state == "none" else display.look(self.state)[0]


@dataclass(frozen=True, slots=True)
class Column:
    """A step of the way; ``more`` counts the nodes that aren't shown."""

    name: str
    nodes: Sequence[Node]
    more: int = 0


def read(overview: Overview, chosen: Filter) -> list[Column]:
    """Read the five columns: at most five queries."""
    cycle, tiers = overview.cycle, overview.tiers
    items = {
        item.transformation_id: item
        for item in NormalizationItem.objects.filter(transformation__in=tiers)
        .defer("payload")
        .annotate(size=Length("payload"))
    }
    columns = {
        "Initiation": _initiation(cycle),
        "Transformations": [_tier(tier) for tier in tiers],
        "Items": [_item(tier, items.get(tier.pk)) for tier in tiers],
        "Jobs": _jobs(cycle),
        "Attempts": _attempts(cycle),
    }
    return [_column(name, nodes, chosen) for name, nodes in columns.items()]


def _column(name: str, nodes: Sequence[Node], chosen: Filter) -> Column:
    kept = [node for node in nodes if chosen.keeps(node.state, node.endpoint or chosen.endpoint)]
    if len(kept) > _MOST_NODES:
        kept.sort(key=lambda node: node.look != "bad")
    return Column(name, kept[:_MOST_NODES], max(0, len(kept) - _MOST_NODES))


def _initiation(cycle: CycleRun) -> list[Node]:
    initiation = Initiation.objects.filter(initiation_hash=cycle.initiation_hash).first()
    if initiation is None:
        return []
    first = _first_cycle(initiation)
    reused = first is not None and first != cycle.pk
    note = f"{initiation.created_at:%Y-%m-%d %H:%M} UTC, {initiation.initiation_hash[:8]}…"
    return [
        Node("reused" if reused else "new", note, "success", "initiation", str(initiation.pk)),
        *(
            [Node("its first cycle", str(first), "success", "cyclerun", str(first))]
            if reused
            else []
        ),
    ]


def _first_cycle(initiation: Initiation) -> UUID | None:
    # By id, near its time: an initiation may have a million transformations.
    first = Transformation.objects.filter(
        initiation=initiation,
        id__gte=uuid7_floor(initiation.created_at - _SKEW),
        id__lt=uuid7_floor(initiation.created_at + _WINDOW),
    ).order_by("id")
    return first.values_list("cycle_id", flat=True).first()


def _tier(tier: Transformation) -> Node:
    notes = [f"{tier.attempts} tries" if tier.attempts > 1 else ""]
    if tier.status == Tier.FAILED:
        notes.insert(0, tier.error[:120])
    elif tier.started_at and tier.finished_at:
        notes.append(display.duration((tier.finished_at - tier.started_at).total_seconds()))
    size = tier.size  # type: ignore[attr-defined] # annotated
    notes += ["" if size is None else f"{size:,} bytes", "taken over" if tier.taken_from_id else ""]
    return Node(
        f"tier {tier.tier} · {tier.transformer}",
        ", ".join(note for note in notes if note),
        tier.status,
        "transformation",
        str(tier.pk),
    )


def _item(tier: Transformation, item: NormalizationItem | None) -> Node:
    if item is None:
        return Node("none", f"tier {tier.tier} is {tier.status}", "none")
    note = f"sha256 {item.sha256[:8]}…, {item.size:,} bytes"  # type: ignore[attr-defined]
    return Node(f"item of tier {tier.tier}", note, "success", "normalizationitem", str(item.pk))


def _jobs(cycle: CycleRun) -> list[Node]:
    rows = (
        DispatchJob.objects.filter(cycle=cycle)
        .values_list("endpoint_key", "status")
        .annotate(number=Count("id"), most=Max("attempts"))
        .order_by("endpoint_key", "status")
    )
    return [
        Node(
            f"{key} ×{number}",
            f"{status} after {most} tries" if most > 1 and status != "delivered" else status,
            status,
            "deliveries",
            endpoint=key,
        )
        for key, status, number, most in rows[:MOST_ANSWERS]
    ]


def _attempts(cycle: CycleRun) -> list[Node]:
    nodes = []
    for key, status, answer, number, fastest, slowest, _, last in ATTEMPTS.rows(
        cycle=cycle.pk, most=MOST_ANSWERS
    ):
        note = f"{key}, last {last:%H:%M:%S} UTC"
        if status == "delivered" and fastest is not None:
            note = f"{key}, {fastest:.0f}–{slowest:.0f} ms"
        title = f"{number} × {answer or status}"
        nodes.append(Node(title, note, status, "deliveries", endpoint=key))
    return nodes
