"""What telemetry tells of profiles: counts, ranks and quantiles, made by one statement.

The database sums the events up, so memory here grows with the profiles, not with the events.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from django.db import transaction

from advisory.signals.windows import Window
from telemetry import database

#: So many endpoints are named, those with the most failed attempts first.
MOST_ENDPOINTS = 20

#: What a sort or a grouping of the statement may take before it goes to disk.
WORK_MEMORY = "32MB"

ALLOW_LONG = database.load(__name__, "allow_long")
PLAN_FOR_MANY = database.load(__name__, "plan_for_many", work_memory=WORK_MEMORY)
MEASURE = database.load(__name__, "measure", endpoints=MOST_ENDPOINTS)


Part = TypeVar("Part", "Latencies", "Deliveries")


@dataclass(frozen=True, slots=True)
class Cycles:
    """Ended cycles by status. A cancelled one is neither a success nor a failure."""

    succeeded: int = 0
    partial: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def ended(self) -> int:
        """How many ended by themselves: with success, partly, or as failed."""
        return self.succeeded + self.partial + self.failed


@dataclass(frozen=True, slots=True)
class Latencies:
    """Durations of successful cycles in milliseconds, and the ranks of the window's in both."""

    count: int = 0
    count_before: int = 0
    p50: float | None = None
    p95: float | None = None
    p50_before: float | None = None
    p95_before: float | None = None
    rank_sum: float = 0.0
    ties: float = 0.0


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Deliveries: confirmed, those on the first attempt, and failed attempts."""

    confirmed: int = 0
    at_once: int = 0
    failed: int = 0
    confirmed_before: int = 0
    at_once_before: int = 0
    failed_before: int = 0
    endpoints: int = 0
    #: The same numbers of each endpoint, at most ``MOST_ENDPOINTS``.
    worst: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Measures:
    """What telemetry tells of one profile in one namespace (None: it ran in none)."""

    profile_id: str
    namespace: str | None
    window: Cycles = Cycles()
    baseline: Cycles = Cycles()
    others_succeeded: int = 0
    others_ended: int = 0
    #: How many other profiles of the namespace ended cycles in the window.
    others: int = 0
    latencies: Latencies = Latencies()
    deliveries: Deliveries = Deliveries()
    #: Events that were left out, by reason; none are 0.
    excluded: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one pass over telemetry found."""

    measures: list[Measures]
    #: Events that belong to no profile or no namespace, by reason.
    excluded: dict[str, int]


def measure(
    window: Window,
    *,
    profile_id: str | None = None,
    namespaces: frozenset[str] | None = None,
    may_take_long: bool = False,
) -> Measured:
    """Measure one profile, or all; ``namespaces`` None: in all namespaces.

    ``may_take_long``: ten minutes instead of the usual limit of this process.
    """
    parts: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    with transaction.atomic(using=database.ALIAS):
        if may_take_long:
            ALLOW_LONG.rows()
        PLAN_FOR_MANY.rows()
        rows = MEASURE.rows(
            baseline_from=window.baseline_start,
            window_from=window.start,
            window_to=window.end,
            now=window.now,
            profile=profile_id,
            namespaces=None if namespaces is None else sorted(namespaces),
        )
    for profile, namespace, part, facts in rows:
        parts.setdefault((profile, namespace), {})[part] = json.loads(facts)
    measures, excluded = [], {"without_profile": 0, "without_namespace": 0}
    for (profile, namespace), facts_by_part in sorted(parts.items()):
        if profile and namespace:
            measures.append(_measures(profile, namespace, facts_by_part))
        else:
            reason = "without_namespace" if profile else "without_profile"
            excluded[reason] += _events(facts_by_part)
    return Measured(measures, {reason: count for reason, count in excluded.items() if count})


def _measures(profile_id: str, namespace: str, parts: Mapping[str, Mapping[str, Any]]) -> Measures:
    cycles = parts.get("cycles", {})
    excluded = {
        reason: int(cycles.get(reason, 0))
        for reason in ("without_status", "without_duration", "invalid_duration")
    }
    excluded["in_future"] = int(parts.get("future", {}).get("events", 0))
    return Measures(
        profile_id,
        namespace,
        window=_cycles(cycles),
        baseline=_cycles(cycles, "_before"),
        others_succeeded=int(cycles.get("others_succeeded", 0)),
        others_ended=int(cycles.get("others_ended", 0)),
        others=int(cycles.get("others", 0)),
        latencies=_read(Latencies, parts.get("latencies", {})),
        deliveries=_deliveries(parts.get("deliveries", {})),
        excluded={reason: count for reason, count in excluded.items() if count},
    )


def _cycles(facts: Mapping[str, Any], when: str = "") -> Cycles:
    names = (column.name for column in fields(Cycles))
    return Cycles(**{name: int(facts.get(name + when, 0)) for name in names})


def _deliveries(facts: Mapping[str, Any]) -> Deliveries:
    return _read(Deliveries, {**facts, "worst": tuple(facts.get("worst") or ())})


def _read(kind: type[Part], facts: Mapping[str, Any]) -> Part:
    return kind(
        **{column.name: facts[column.name] for column in fields(kind) if column.name in facts}
    )


def _events(parts: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many events were summed up: ended cycles, deliveries, those in the future."""
    cycles, deliveries = parts.get("cycles", {}), parts.get("deliveries", {})
    now, before = _cycles(cycles), _cycles(cycles, "_before")
    ended = sum(period.ended + period.cancelled for period in (now, before))
    delivered = sum(
        int(deliveries.get(name, 0))
        for name in ("confirmed", "failed", "confirmed_before", "failed_before")
    )
    unclear = int(cycles.get("without_status", 0)) + int(parts.get("future", {}).get("events", 0))
    return ended + delivered + unclear
