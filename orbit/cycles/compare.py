"""Two cycles side by side: what differs first, from configuration over tiers to deliveries and errors. Six queries, however large they are."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from governance.access.actors import Actor
from orbit.errors import CycleUnknown
from orbit.models import CycleRun, Transformation
from orbit.profiles import diff

MOST_ROWS = 200
_LONG = 300

# As a cycle's page counts them: each delivery with its copies, delivered by any of them, else where the newest stands.
DELIVERIES = """WITH RECURSIVE chain AS (
    SELECT j.id, j.status, j.id AS root, j.cycle_id AS cycle, j.endpoint_key FROM orbit_dispatchjob j
    LEFT JOIN orbit_dispatchjob o ON o.id = j.requeue_of_id WHERE j.cycle_id = ANY(%(cycles)s) AND o.cycle_id IS DISTINCT FROM j.cycle_id
    UNION ALL SELECT j.id, j.status, chain.root, chain.cycle, chain.endpoint_key FROM orbit_dispatchjob j JOIN chain ON j.requeue_of_id = chain.id)
SELECT cycle, endpoint_key, ended, count(*) FROM (
    SELECT cycle, endpoint_key, CASE WHEN bool_or(status = 'delivered') THEN 'delivered' ELSE (array_agg(status ORDER BY id DESC))[1] END AS ended
    FROM chain GROUP BY cycle, endpoint_key, root) AS deliveries GROUP BY 1, 2, 3 ORDER BY 2, 3"""
ERRORS = """SELECT l.cycle_id, l.endpoint_key, coalesce(l.status_code::text, l.reason), l.error_pattern, count(*) FROM orbit_deadletterdispatch l
WHERE l.cycle_id = ANY(%(cycles)s) GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 2, 3, 4 LIMIT %(most)s"""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing about both cycles, as text."""

    what: str
    a: str
    b: str

    @property
    def differs(self) -> bool:
        """Whether they differ in it."""
        return self.a != self.b


@dataclass(frozen=True, slots=True)
class Section:
    """Things of one kind, those that differ first."""

    name: str
    rows: Sequence[Row]

    @property
    def differing(self) -> int:
        """In how many of them the cycles differ."""
        return sum(row.differs for row in self.rows)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two cycles, and what of them differs and what doesn't."""

    a: CycleRun
    b: CycleRun
    sections: Sequence[Section]

    @property
    def differing(self) -> int:
        """In how many things they differ."""
        return sum(section.differing for section in self.sections)


def read(a: UUID, b: UUID, *, actor: Actor) -> Comparison:
    """Compare two cycles. Raises CycleUnknown, also for one that ``actor`` doesn't see."""
    found = {
        cycle.pk: cycle
        for cycle in CycleRun.objects.filter(actor.filter(), pk__in=[a, b]).defer("input")
    }
    for wanted in (a, b):
        if wanted not in found:
            raise CycleUnknown(f"There is no cycle {wanted}.")
    left, right = found[a], found[b]
    sections = [
        Section("Cycle", _both(_FACTS, left, right)),
        Section(
            "Configuration",
            [
                Row(one.pointer or "/", _text(one.before), _text(one.after))
                for one in diff.changes(left.context, right.context)[:MOST_ROWS]
            ],
        ),
        Section("Times", _both(_TIMES, left, right)),
        Section("Tiers", _tiers(a, b)),
        Section("Deliveries", _counted(DELIVERIES, a, b, lambda row: f"{row[1]}: {row[2]}")),
        Section("Errors", _counted(ERRORS, a, b, lambda row: f"{row[1]} ({row[2]}): {row[3]}")),
    ]
    return Comparison(
        left,
        right,
        [Section(one.name, sorted(one.rows, key=lambda row: not row.differs)) for one in sections],
    )


def _seconds(end: datetime | None, start: datetime | None) -> str:
    return "-" if end is None or start is None else f"{(end - start).total_seconds():.2f} s"


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
    "Runs again": lambda cycle: cycle.rerun_of_id,
    "Resumed": lambda cycle: f"{cycle.resumes} times in a row",
}
_TIMES: dict[str, _Reader] = {
    "Waited for a worker": lambda cycle: _seconds(cycle.started_at, cycle.created_at),
    "Ran": lambda cycle: _seconds(cycle.finished_at, cycle.started_at),
}


def _both(readers: dict[str, _Reader], left: CycleRun, right: CycleRun) -> list[Row]:
    return [
        Row(what, _text(reader(left)), _text(reader(right))) for what, reader in readers.items()
    ]


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if value is diff.ABSENT:
        return "absent"
    text = (
        str(value)
        if isinstance(value, str | UUID)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
    return text if len(text) <= _LONG else text[: _LONG - 3] + "..."


def _tiers(a: UUID, b: UUID) -> list[Row]:
    said: dict[tuple[str, UUID], str] = {}
    for tier in Transformation.objects.filter(cycle__in=[a, b]).defer("output"):
        name = f"Tier {tier.tier}"
        taken = " (taken over)" if tier.taken_from_id else ""
        said[f"{name}: outcome", tier.cycle_id] = f"{tier.status}{taken}" + (
            f": {tier.error}" if tier.error else ""
        )
        said[f"{name}: transformer", tier.cycle_id] = tier.transformer
        said[f"{name}: attempts", tier.cycle_id] = str(tier.attempts)
        said[f"{name}: took", tier.cycle_id] = _seconds(tier.finished_at, tier.started_at)
        said[f"{name}: output's SHA-256", tier.cycle_id] = tier.output_sha256
    return [
        Row(what, _text(said.get((what, a))), _text(said.get((what, b))))
        for what in sorted({what for what, _ in said})
    ]


def _counted(sql: str, a: UUID, b: UUID, name: Callable[[tuple[Any, ...]], str]) -> list[Row]:
    counts: dict[str, dict[UUID, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, {"cycles": [a, b], "most": MOST_ROWS})
        for row in cursor.fetchall():
            of = counts.setdefault(name(row), {})
            of[row[0]] = of.get(row[0], 0) + row[-1]
    return [Row(what, str(of.get(a, 0)), str(of.get(b, 0))) for what, of in counts.items()]
