"""The evidence of a signal as a table, and as a plot of before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_WIDTH, _HEIGHT = 420, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 410, 16, 118
#: Where the axis may begin, so that its four parts are round.
_FLOORS = (0.8, 0.6, 0.2, 0.0)
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A measure in the window and before it."""

    name: str
    now: str
    before: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time with its success rate and the 95 % interval of it, in the plot's units."""

    left: float
    right: float
    rate: float
    low: float
    high: float
    text: str

    @property
    def middle(self) -> float:
        """Where its interval is drawn."""
        return (self.left + self.right) / 2

    @property
    def height(self) -> float:
        """The height of the interval."""
        return max(1.0, self.low - self.high)


@dataclass(frozen=True, slots=True)
class Plot:
    """Success rate before and after; ``summary`` says the same in words."""

    now: Period
    before: Period | None
    ticks: list[Tick]
    since: str
    until: str
    start: str
    summary: str
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    bottom: int = _BOTTOM

    @property
    def band_width(self) -> int:
        """The width of the band of the usual range."""
        return _RIGHT - _LEFT


def rows(evidence: Mapping[str, Any]) -> list[Row]:
    """Return the measures of a signal's evidence."""
    now, before = evidence.get("window", {}), evidence.get("baseline", {})
    measures = [
        Row("Ended cycles", _count(now.get("ended")), _count(before.get("ended"))),
        Row("Success rate (95 % interval)", _rate(now), _rate(before)),
        Row("Partly succeeded", _count(now.get("partial")), _count(before.get("partial"))),
        Row("Failed", _count(now.get("failed")), _count(before.get("failed"))),
        Row("Cancelled", _count(now.get("cancelled")), _count(before.get("cancelled"))),
    ]
    latency = evidence.get("latency_ms", {})
    measures += [
        Row(
            f"Latency of successful cycles, {words}",
            _milliseconds(latency.get("window", {}).get(name)),
            _milliseconds(latency.get("baseline", {}).get(name)),
        )
        for name, words in (("p50", "median"), ("p95", "95 % took at most"))
    ]
    deliveries = evidence.get("deliveries", {})
    measures += [
        Row(
            words,
            _count(deliveries.get("window", {}).get(name)),
            _count(deliveries.get("baseline", {}).get(name)),
        )
        for name, words in (
            ("confirmed", "Deliveries confirmed"),
            ("failed_attempts", "Failed attempts to deliver"),
        )
    ]
    others = evidence.get("others", {})
    if others.get("ended"):
        number = others["profiles"]
        name = f"{number} other profile{'' if number == 1 else 's'} here"
        measures.append(Row(name, _rate(others), "-"))
    return measures


def plot(evidence: Mapping[str, Any]) -> Plot | None:
    """Return the plot of a signal's evidence; None if no cycle ended in the window."""
    now, before = evidence.get("window") or {}, evidence.get("baseline") or {}
    if now.get("interval") is None:
        return None
    has_before = before.get("interval") is not None
    periods = [now, before] if has_before else [now]
    lowest = min(period["interval"][0] for period in periods)
    floor = next(floor for floor in _FLOORS if floor <= max(0.0, lowest - 0.02))
    start, split, end = (
        datetime.fromisoformat(text)
        for text in (before["from"] if has_before else now["from"], now["from"], now["to"])
    )
    whole = (end - start).total_seconds() or 1.0
    place = _LEFT + (split - start).total_seconds() / whole * (_RIGHT - _LEFT)

    def y(rate: float) -> float:
        return round(_BOTTOM - (rate - floor) / (1 - floor) * (_BOTTOM - _TOP), 1)

    def period(values: Mapping[str, Any], left: float, right: float) -> Period:
        low, high = values["interval"]
        text = f"{values['success_rate']:.1%}"
        rate = y(values["success_rate"])
        return Period(round(left, 1), round(right, 1), rate, y(low), y(high), text)

    steps = [floor + (1 - floor) * step / _TICKS for step in range(_TICKS + 1)]
    return Plot(
        now=period(now, place, _RIGHT),
        before=period(before, _LEFT, place) if has_before else None,
        ticks=[Tick(y(step), f"{step:.0%}") for step in steps],
        since=f"{start:%d %b}",
        until=f"{end:%d %b}",
        start=f"{split:%d %b}" if has_before else "",
        summary=_summary(now, before if has_before else None),
    )


def _summary(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    text = f"Since {now['from'][:10]} {_rate(now)} of {now['ended']} cycles succeeded"
    if before is None:
        return f"{text}. There is nothing to compare it with."
    return f"{text}; from {before['from'][:10]} until then {_rate(before)} of {before['ended']}."


def _rate(values: Mapping[str, Any]) -> str:
    if values.get("success_rate") is None or not values.get("interval"):
        return "-"
    low, high = values["interval"]
    return f"{values['success_rate']:.1%} ({low:.0%} to {high:.0%})"


def _count(value: Any) -> str:
    return "-" if value is None else f"{value:,}"


def _milliseconds(value: Any) -> str:
    return "-" if value is None else f"{value:,.0f} ms"
