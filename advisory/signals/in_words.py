"""What the pages show of a signal: its evidence as a table, its meaning, its series."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from advisory.models import AdvisorySignal
from advisory.signals import reading
from advisory.states import SignalKind
from advisory.statistics import rounding
from governance.access.actors import Actor
from governance.plots import charts
from orbit.models import CycleRun

#: Signals of the series, the newest.
MOST_POINTS = 30
_MEANINGS = {
    SignalKind.LOW: "If nothing had become worse, numbers like these would come up with a "
    "probability of at most {doubt}.",
    SignalKind.ELEVATED: "If nothing had become better, numbers like these would come up with a "
    "probability of at most {doubt}.",
    SignalKind.STABLE: "If something had changed enough to count, numbers like these would come "
    "up with a probability of at most {doubt}.",
    SignalKind.INSUFFICIENT: "Too few cycles ended to say anything about the "
    "profile: this is not a bad sign.",
}
_CYCLES = {
    "not_succeeded": "Cycles that didn't succeed",
    "slowest": "The slowest successful cycles",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A measure in the window and before it."""

    name: str
    now: str
    before: str


@dataclass(frozen=True, slots=True)
class Point:
    """A success rate in percent, None if too few cycles ended, and the usual range then."""

    label: str
    rate: float | None
    low: float | None
    high: float | None


def parts(signal: AdvisorySignal, *, actor: Actor) -> dict[str, Any]:
    """Return what the pages of a signal and of its proposals show of it."""
    rates = series(signal, actor=actor)
    points = [charts.Point(point.label, point.rate, point.low, point.high) for point in rates]
    return {
        "plot": charts.line(points, title="Success rate", unit=" %", top=100) if points else "",
        "evidence_rows": rows(signal.evidence),
        "example_cycles": cycles(signal.evidence, actor=actor),
        "confidence": confidence(signal),
        "meaning": meaning(signal),
    }


def confidence(signal: AdvisorySignal) -> str:
    """Return the confidence, never rounded up; "-" if there is none."""
    if signal.signal == SignalKind.INSUFFICIENT:
        return "-"
    return rounding.down(signal.confidence, 4)


def confidence_from(signal: AdvisorySignal, cycles: int | None) -> str:
    """Return the confidence with the number of cycles that ended in the window."""
    sample = "" if cycles is None else f" from {cycles:,} cycle{'' if cycles == 1 else 's'}"
    return f"{confidence(signal)}{sample}"


def meaning(signal: AdvisorySignal) -> str:
    """Return what the confidence means."""
    doubt = 1 - signal.confidence
    text = "0.01 %" if doubt < 0.0001 else f"{100 * doubt:.2g} %"
    return _MEANINGS[SignalKind(signal.signal)].format(doubt=text)


def series(signal: AdvisorySignal, *, actor: Actor) -> list[Point]:
    """Return the success rates of the newest signals up to this one, the baseline's first.

    Empty if no cycle of the profile ended.
    """
    rows = reading.visible_to(actor).filter(
        profile_id=signal.profile_id,
        namespace=signal.namespace,
        created_at__lte=signal.created_at,
    )
    newest = rows.order_by("-created_at", "-id").values_list(
        "window_to",
        "evidence__window__ended",
        "evidence__window__success_rate",
        "evidence__baseline__interval",
        "signal",
    )[:MOST_POINTS]
    points = [
        Point(
            f"{end:%d %b}",
            100 * rate if rate is not None and kind != SignalKind.INSUFFICIENT else None,
            *(100 * bound for bound in interval or ()) if interval else (None, None),
        )
        for end, _, rate, interval, kind in reversed(newest)
    ]
    before = signal.evidence.get("baseline") or {}
    if before.get("interval"):
        low, high = before["interval"]
        start = f"before {signal.window_from:%d %b}"
        points.insert(0, Point(start, 100 * before["success_rate"], 100 * low, 100 * high))
    return points if any(point.rate is not None for point in points) else []


def rows(evidence: Mapping[str, Any]) -> list[Row]:
    """Return the measures of a signal's evidence."""
    now, before = evidence.get("window", {}), evidence.get("baseline", {})
    latency, deliveries = evidence.get("latency_ms", {}), evidence.get("deliveries", {})
    measures = [
        Row("Ended cycles", _count(now.get("ended")), _count(before.get("ended"))),
        Row("Success rate (95 % interval)", _rate(now), _rate(before)),
        *_counts(evidence, ("partial", "Partly succeeded"), ("failed", "Failed")),
        *_counts(evidence, ("cancelled", "Cancelled")),
    ]
    measures += [
        Row(
            f"Latency of successful cycles, {words}",
            _milliseconds(latency.get("window", {}).get(name)),
            _milliseconds(latency.get("baseline", {}).get(name)),
        )
        for name, words in (("p50", "median"), ("p95", "95 % took at most"))
    ]
    measures += _counts(
        deliveries,
        ("confirmed", "Deliveries confirmed"),
        ("failed_attempts", "Failed attempts to deliver"),
    )
    others = evidence.get("others", {})
    if others.get("ended"):
        number = others["profiles"]
        name = f"{number} other profile{'' if number == 1 else 's'} here"
        measures.append(Row(name, _rate(others), "-"))
    return [row for row in measures if {row.now, row.before} != {"-"}]


def cycles(evidence: Mapping[str, Any], *, actor: Actor) -> list[tuple[str, list[CycleRun]]]:
    """Return the cycles that the evidence names, and that are still there."""
    named = evidence.get("cycles", {})
    ids = [cycle_id for kind in _CYCLES for cycle_id in named.get(kind, [])]
    if not ids:
        return []
    visible = CycleRun.objects.filter(actor.filter(), pk__in=ids)
    by_id = {str(row.pk): row for row in visible.only("id", "status", "finished_at")}
    listed = [
        (words, [by_id[cycle_id] for cycle_id in named.get(kind, []) if cycle_id in by_id])
        for kind, words in _CYCLES.items()
    ]
    return [(words, of_kind) for words, of_kind in listed if of_kind]


def computed(signals: Sequence[AdvisorySignal]) -> str:
    """Return how many signals of which kind were computed."""
    counts = Counter(signal.signal for signal in signals)
    each = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(counts.items()))
    number = len(signals)
    return f"{number} signal{'' if number == 1 else 's'} computed{': ' if each else ''}{each}."


def _counts(evidence: Mapping[str, Any], *names: tuple[str, str]) -> list[Row]:
    now, before = evidence.get("window", {}), evidence.get("baseline", {})
    return [Row(words, _count(now.get(name)), _count(before.get(name))) for name, words in names]


def _rate(values: Mapping[str, Any]) -> str:
    if values.get("success_rate") is None or not values.get("interval"):
        return "-"
    low, high = values["interval"]
    return f"{values['success_rate']:.1%} ({low:.0%} to {high:.0%})"


def _count(value: Any) -> str:
    return "-" if value is None else f"{value:,}"


def _milliseconds(value: Any) -> str:
    return "-" if value is None else f"{value:,.0f} ms"
