"""Compare two cycles: configuration, times, tiers, deliveries and errors."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from governance import display
from governance.access.actors import Actor
from governance.kernel import json_diff, sql
from orbit.cycles.delivery_counts import COUNT_DELIVERIES
from orbit.errors import CycleUnknown
from orbit.models import CycleRun, Transformation
from orbit.records import pruned

MOST_ROWS = 200
_MOST_CHARACTERS = 300

COUNT_ERRORS = sql.load(__name__, "count_errors")


@dataclass(frozen=True, slots=True)
class ComparedFact:
    """One fact about both cycles, as text."""

    name: str
    a: str
    b: str
    #: Of a duration: both in seconds, for a pair of bars.
    seconds: tuple[float, float] | None = None
    #: Whether "0" means that there is none.
    is_count: bool = False

    @property
    def differs(self) -> bool:
        """Whether the cycles differ in it."""
        return self.a != self.b

    @property
    def longest(self) -> float:
        """The length of both bars; 0 without bars."""
        return max(self.seconds) if self.seconds else 0

    @property
    def change(self) -> str:
        """How they differ, in a word."""
        if not self.differs:
            return "same"
        if self.is_count and "0" in (self.a, self.b):
            return "new" if self.a == "0" else "gone"
        if self.seconds and "-" not in (self.a, self.b):
            a, b = self.seconds
            return f"{display.duration(abs(b - a))} {'longer' if b > a else 'shorter'}"
        return "differs"


@dataclass(frozen=True, slots=True)
class Section:
    """Facts of one kind, differing ones first."""

    name: str
    facts: Sequence[ComparedFact]

    @property
    def differing(self) -> int:
        """How many facts differ."""
        return sum(fact.differs for fact in self.facts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two cycles and their facts."""

    a: CycleRun
    b: CycleRun
    sections: Sequence[Section]

    @property
    def differing(self) -> int:
        """How many facts differ."""
        return sum(section.differing for section in self.sections)


def read(a: UUID, b: UUID, *, actor: Actor) -> Comparison:
    """Compare two cycles in four queries. Raises CycleUnknown."""
    cycles = {
        cycle.pk: cycle
        for cycle in CycleRun.objects.filter(actor.filter(), pk__in=[a, b]).defer("input")
    }
    for cycle_id in (a, b):
        if cycle_id not in cycles:
            raise CycleUnknown(pruned.unknown("cycle", cycle_id))
    left, right = cycles[a], cycles[b]
    changes = json_diff.changes(left.context, right.context)[:MOST_ROWS]
    both = {"cycles": [a, b]}
    deliveries = COUNT_DELIVERIES.rows(**both)
    errors = COUNT_ERRORS.rows(**both, most=MOST_ROWS)
    sections = [
        Section("Cycle", _both(_FACTS, left, right)),
        Section(
            "Configuration",
            [
                ComparedFact(change.pointer or "/", _text(change.before), _text(change.after))
                for change in changes
            ],
        ),
        Section("Times", _both(_TIMES, left, right)),
        Section("Tiers", _tiers(a, b)),
        Section("Deliveries", _counts(deliveries, a, b, lambda row: f"{row[1]}: {row[2]}")),
        Section("Errors", _counts(errors, a, b, lambda row: f"{row[1]} ({row[2]}): {row[3]}")),
    ]
    return Comparison(
        left,
        right,
        [
            Section(section.name, sorted(section.facts, key=lambda fact: not fact.differs))
            for section in sections
        ],
    )


def _seconds(end: datetime | None, start: datetime | None) -> float | None:
    return None if end is None or start is None else max(0.0, (end - start).total_seconds())


_Reader = Callable[[CycleRun], Any]
_FACTS: dict[str, _Reader] = {
    "Status": lambda cycle: cycle.status.replace("_", " "),
    "Reason": lambda cycle: cycle.reason,
    "Namespace": lambda cycle: cycle.namespace_id,
    "Run profile": lambda cycle: cycle.run_profile_id,
    "Run profile's revision": lambda cycle: cycle.run_profile_revision,
    "Profile": lambda cycle: cycle.profile_id,
    "Profile's revision": lambda cycle: cycle.profile_revision,
    "Started by": lambda cycle: f"{cycle.trigger} {cycle.triggered_by}",
    "Input": lambda cycle: f"{cycle.input_content_type}, SHA-256 {cycle.input_sha256}",
    "Re-run of": lambda cycle: cycle.rerun_of_id,
    "Resumed": lambda cycle: f"{cycle.resumes} times in a row",
}
_TIMES: dict[str, _Reader] = {
    "Waited for a worker": lambda cycle: _seconds(cycle.started_at, cycle.created_at),
    "Ran": lambda cycle: _seconds(cycle.finished_at, cycle.started_at),
}


def _both(readers: dict[str, _Reader], left: CycleRun, right: CycleRun) -> list[ComparedFact]:
    return [_fact(name, reader(left), reader(right)) for name, reader in readers.items()]


def _fact(name: str, a: Any, b: Any) -> ComparedFact:
    if not isinstance(a, float) and not isinstance(b, float):
        return ComparedFact(name, _text(a), _text(b))
    return ComparedFact(name, _duration(a), _duration(b), (a or 0.0, b or 0.0))


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else display.duration(seconds)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if value is json_diff.ABSENT:
        return "absent"
    text = (
        str(value)
        if isinstance(value, str | UUID)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def _tiers(a: UUID, b: UUID) -> list[ComparedFact]:
    facts: dict[str, dict[UUID, Any]] = {}
    for tier in Transformation.objects.filter(cycle__in=[a, b]).defer("output"):
        reused = " (taken over)" if tier.taken_from_id else ""
        error = f": {tier.error}" if tier.error else ""
        for name, text in (
            ("outcome", f"{tier.status}{reused}{error}"),
            ("transformer", tier.transformer),
            ("attempts", str(tier.attempts)),
            ("took", _seconds(tier.finished_at, tier.started_at)),
            ("output's SHA-256", tier.output_sha256),
        ):
            facts.setdefault(f"Tier {tier.tier}: {name}", {})[tier.cycle_id] = text
    return [_fact(name, values.get(a), values.get(b)) for name, values in sorted(facts.items())]


def _counts(
    rows: Iterable[tuple[Any, ...]], a: UUID, b: UUID, name: Callable[[tuple[Any, ...]], str]
) -> list[ComparedFact]:
    # A row starts with its cycle and ends with its count.
    counts: dict[str, dict[UUID, int]] = {}
    for row in rows:
        by_cycle = counts.setdefault(name(row), {})
        by_cycle[row[0]] = by_cycle.get(row[0], 0) + row[-1]
    return [
        ComparedFact(text, str(by_cycle.get(a, 0)), str(by_cycle.get(b, 0)), is_count=True)
        for text, by_cycle in counts.items()
    ]
