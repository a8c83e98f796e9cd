"""Where a cycle's deliveries came from: initiation, transformations, items, jobs, attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, TextField, Value
from django.db.models.functions import Cast, Coalesce, Length
from django.utils import timezone

from governance import display
from governance.kernel.identifiers import uuid7_floor
from orbit.cycles.overview import Overview
from orbit.cycles.tabs import Filter
from orbit.cycles.timeline import ATTEMPTS, MOST_ANSWERS
from orbit.models import (
    CycleRun,
    DeliveryReceipt,
    DispatchJob,
    Initiation,
    NormalizationItem,
    Transformation,
)
from orbit.states import Tier

_MOST_NODES = 20
#: Rows that the panel of a node lists, and of how many deliveries at most.
MOST_LISTED, _MOST_JOBS = 10, 100
# The first transformations of an initiation are made in the same statement.
_SKEW, _WINDOW = timedelta(seconds=10), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Node:
    """One thing, or some that are alike."""

    title: str
    note: str
    state: str
    #: What it is, and its name in an address; "" if there is nothing to look at.
    kind: str = ""
    name: str = ""
    #: Its row; of the first cycle, the id.
    row: Any = None
    #: Of deliveries and attempts: their endpoint and their answer.
    endpoint: str = ""
    answer: str = ""

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


@dataclass(frozen=True, slots=True)
class Panel:
    """The details of a node: its row, its deliveries or its attempts."""

    node: Node
    jobs: Sequence[DispatchJob] = ()
    attempts: Sequence[DeliveryReceipt] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """The columns, and what is beside them."""

    columns: Sequence[Column]
    panel: Panel | None


def read(overview: Overview, chosen: Filter, name: str = "") -> Provenance:
    """Read the five columns, and the node ``name`` in detail: at most seven queries."""
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
    node = next((node for nodes in columns.values() for node in nodes if node.name == name), None)
    return Provenance(
        [_column(title, nodes, chosen) for title, nodes in columns.items()],
        _panel(cycle, node) if name and node else None,
    )


def _column(title: str, nodes: Sequence[Node], chosen: Filter) -> Column:
    kept = [node for node in nodes if chosen.keeps(node.state, node.endpoint or chosen.endpoint)]
    if len(kept) > _MOST_NODES:
        kept.sort(key=lambda node: node.look != "bad")
    return Column(title, kept[:_MOST_NODES], max(0, len(kept) - _MOST_NODES))


def _panel(cycle: CycleRun, node: Node) -> Panel:
    jobs = DispatchJob.objects.filter(cycle=cycle, endpoint_key=node.endpoint).order_by("id")
    if node.kind == "jobs":
        return Panel(node, jobs=list(jobs.filter(status=node.state)[:MOST_LISTED]))
    if node.kind == "attempts":
        ids = list(jobs.values_list("pk", flat=True)[:_MOST_JOBS])
        attempts = DeliveryReceipt.objects.filter(job__in=ids, status=node.state).annotate(
            answer=Coalesce(
                Cast("status_code", TextField()), "error_class", Value(""), output_field=TextField()
            )
        )
        attempts = attempts.filter(answer=node.answer).order_by("job_id", "attempt")
        return Panel(node, attempts=list(attempts[:MOST_LISTED]))
    return Panel(node)


def _initiation(cycle: CycleRun) -> list[Node]:
    initiation = Initiation.objects.filter(initiation_hash=cycle.initiation_hash).first()
    if initiation is None:
        return []
    first = _first_cycle(initiation)
    reused = first is not None and first != cycle.pk
    at = timezone.localtime(initiation.created_at)
    note = f"{at:%Y-%m-%d %H:%M %Z}, {initiation.initiation_hash[:8]}…"
    return [
        Node(
            "reused" if reused else "new", note, "success", "initiation", "initiation", initiation
        ),
        *([Node("its first cycle", str(first), "success", "cycle", row=first)] if reused else []),
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
        notes.insert(0, tier.error[:120].rstrip("."))
    elif tier.started_at and tier.finished_at:
        notes.append(display.duration((tier.finished_at - tier.started_at).total_seconds()))
    size = tier.size  # type: ignore[attr-defined] # annotated
    notes += ["" if size is None else f"{size:,} bytes", "taken over" if tier.taken_from_id else ""]
    return Node(
        f"tier {tier.tier} · {tier.transformer}",
        ", ".join(note for note in notes if note),
        tier.status,
        "tier",
        f"tier:{tier.tier}",
        tier,
    )


def _item(tier: Transformation, item: NormalizationItem | None) -> Node:
    if item is None:
        return Node("none", f"tier {tier.tier} is {tier.status}", "none")
    note = f"sha256 {item.sha256[:8]}…, {item.size:,} bytes"  # type: ignore[attr-defined]
    name = f"item:{tier.tier}"
    return Node(f"item of tier {tier.tier}", note, "success", "item", name, item)


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
            "jobs",
            f"jobs:{key}:{status}",
            endpoint=key,
        )
        for key, status, number, most in rows[:MOST_ANSWERS]
    ]


def _attempts(cycle: CycleRun) -> list[Node]:
    nodes = []
    for key, status, answer, number, fastest, slowest, _, last in ATTEMPTS.rows(
        cycle=cycle.pk, most=MOST_ANSWERS
    ):
        note = f"{key}, last {timezone.localtime(last):%H:%M:%S %Z}"
        if status == "delivered" and fastest is not None:
            note = f"{key}, {fastest:.0f}–{slowest:.0f} ms"
        title = f"{number} × {answer or status}"
        name = f"attempts:{key}:{status}:{answer}"
        nodes.append(Node(title, note, status, "attempts", name, endpoint=key, answer=answer))
    return nodes
